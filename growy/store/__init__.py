"""The store: readings and the registry in two SQLite databases, the newest readings in memory.

Nothing outside this package writes SQL. See `docs/store.md` for the layout and for what survives what.
"""

from growy.store.accounts import AccountBatch, AccountRows
from growy.store.actuators import ClaimRow, HistoryKind, HistoryRow
from growy.store.audit import AuditFilter, AuditPage, AuditRow
from growy.store.buckets import Buckets
from growy.store.catalog import Catalog, Conversion, Conversions
from growy.store.control import ControlBatch
from growy.store.deadletters import DeadLetter, DeadLetterRow
from growy.store.devices import DeviceRow
from growy.store.faults import DiskState
from growy.store.hierarchy import HierarchyBatch, Mean, Measurement
from growy.store.query import RangeResult, SeriesStatistics
from growy.store.rules import ExecutionFilter, ExecutionPage, ExecutionRow, RuleRow, RuleState, RuleTally
from growy.store.statistics import StoreStatistics
from growy.store.stops import StopRow
from growy.store.store import Store, open_store
from growy.store.tail import Tail
from growy.store.usage import Usage
from growy.store.zones import ZoneRow

__all__ = [
    "AccountBatch",
    "AccountRows",
    "AuditFilter",
    "AuditPage",
    "AuditRow",
    "Buckets",
    "Catalog",
    "ClaimRow",
    "ControlBatch",
    "Conversion",
    "Conversions",
    "DeadLetter",
    "DeadLetterRow",
    "DeviceRow",
    "DiskState",
    "ExecutionFilter",
    "ExecutionPage",
    "ExecutionRow",
    "HierarchyBatch",
    "HistoryKind",
    "HistoryRow",
    "Mean",
    "Measurement",
    "RangeResult",
    "RuleRow",
    "RuleState",
    "RuleTally",
    "SeriesStatistics",
    "StopRow",
    "Store",
    "StoreStatistics",
    "Tail",
    "Usage",
    "ZoneRow",
    "open_store",
]
