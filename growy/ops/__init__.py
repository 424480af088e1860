"""How the rooms say how they are: logs (`log`), latency percentiles (`latency`), systemd (`sdnotify`),
and what Linux says of the machine (`machine`).

Never knows what a reading or a device is.
"""
