"""How starts are counted. Pure.

The count is in every message that is answered and in every command's stamp, so it must never come twice: not after a
crash (it is on the disk before anything is sent), and not after a disk was restored from an old copy, once or several
times. Then it goes on from the wall clock's milliseconds, of which more have passed than a node can have started.
"""

from __future__ import annotations


def next_count(stored: int, wall_ms: int, *, restored: bool) -> int:
    """The next start, or the next epoch, after what stands on the disk.

    Args:
        restored: what stands there may be an old copy.
        wall_ms: Unix ms. After a restore the wall clock must be right.
    """
    return max(stored + 1, wall_ms) if restored else stored + 1
