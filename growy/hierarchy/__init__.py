"""Several Pis, one fleet: God, its Kaisers, and one owner per device at any moment.

What is here is pure: cores that take what happened and the time, and return effects. `docs/hierarchy.md` says by which
rules, and why they hold.
"""
