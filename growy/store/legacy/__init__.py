"""Bringing the old server's database (`growy_database.db`, table `sensor_data`) into series.db.

`source` reads it without touching it, `judge` says row by row what can be taken and why not, `moving` writes what can
as closed chunks, `tally` and `report` say what became of every row. `ownership` says whose the devices are. Runs while
the daemon is stopped; may be killed at any moment and run again.
"""

from growy.store.legacy.moving import Advance, Options, look_through, move
from growy.store.legacy.ownership import ownership_of_legacy
from growy.store.legacy.report import Report
from growy.store.legacy.source import LegacySource, open_source

__all__ = [
    "Advance",
    "LegacySource",
    "Options",
    "Report",
    "look_through",
    "move",
    "open_source",
    "ownership_of_legacy",
]
