"""Tables of the two databases, their versions and how a connection is opened. Must never touch a database of a
newer growyd.

A version is `PRAGMA user_version`; migration i leads from version i to i + 1, all of them in one transaction.
To change a table, append a migration: one that has been released is never edited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import apsw

from growy.model.errors import SchemaError

SERIES_FILE = "series.db"
REGISTRY_FILE = "growy.db"

PAGE_SIZE = 1024
"""A commit writes whole pages: at one commit a second small pages are the larger half of the card's wear."""
BUSY_MS = 10_000
OLDEST_SQLITE = (3, 51, 3)

Migration = Callable[[apsw.Connection], None]


def check_sqlite(version: str) -> None:
    """Refuse a SQLite that can lose committed transactions of a WAL database.

    Raises:
        SchemaError: `version` is older than 3.51.3.
    """
    numbers = tuple(int(part) for part in version.split(".")[:3])
    if numbers < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise SchemaError(
            f"SQLite {version} can lose committed readings (WAL reset fault, fixed in {wanted})",
            cure=f"Install apsw >= {wanted}: it brings its own SQLite",
        )


def _series_1(db: apsw.Connection) -> None:
    db.execute(
        """
        CREATE TABLE series (
            id INTEGER PRIMARY KEY,
            esp_id TEXT NOT NULL, bus TEXT NOT NULL, address TEXT NOT NULL, value_type TEXT NOT NULL,
            gpio INTEGER NOT NULL, unit TEXT NOT NULL, created_ms INTEGER NOT NULL,
            UNIQUE (esp_id, bus, address, value_type)
        ) STRICT;
        CREATE TABLE conversion (
            id INTEGER PRIMARY KEY,
            library TEXT NOT NULL, version TEXT NOT NULL, parameters TEXT NOT NULL,
            UNIQUE (library, version, parameters)
        ) STRICT;
        -- One row per commit. Rows of sealed commits are overwritten in place: no page is freed or taken.
        CREATE TABLE journal (slot INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
        -- Commits up to `sealed` are in chunks; of those up to `sealing`, series below `sealing_series` too.
        CREATE TABLE seal (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            sealed INTEGER NOT NULL, sealing INTEGER NOT NULL, sealing_series INTEGER NOT NULL
        ) STRICT;
        INSERT INTO seal VALUES (1, 0, 0, 0);
        -- id = level << 56 | slot << 28 | series << 8 | part: time first, so that sealing appends.
        CREATE TABLE chunk (
            id INTEGER PRIMARY KEY,
            series INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
            rows INTEGER NOT NULL, count INTEGER NOT NULL,
            min REAL, max REAL, first REAL, last REAL, mean REAL, m2 REAL,
            qualities BLOB NOT NULL, data BLOB NOT NULL
        ) STRICT;
        -- Which slots of which level a series has chunks in: a query seeks these and nothing else.
        CREATE TABLE extent (
            series INTEGER NOT NULL, level INTEGER NOT NULL,
            first_slot INTEGER NOT NULL, last_slot INTEGER NOT NULL,
            PRIMARY KEY (series, level)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE dead_letter (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            received_ms INTEGER NOT NULL, topic TEXT NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL,
            size INTEGER NOT NULL, payload BLOB NOT NULL
        ) STRICT;
        """
    )


def _series_2(db: apsw.Connection) -> None:
    db.execute(
        """
        -- How far the old server's database has been read (rowid), with what became of its rows: written in the
        -- transaction that takes them.
        CREATE TABLE legacy_progress (
            identity TEXT PRIMARY KEY,
            cursor INTEGER NOT NULL, cursor_row TEXT NOT NULL, tally TEXT NOT NULL,
            began_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        -- Which series the old server's rows went to; a later run must not choose another.
        CREATE TABLE legacy_series (
            esp_id TEXT NOT NULL, gpio INTEGER NOT NULL, sensor_type TEXT NOT NULL, series INTEGER NOT NULL,
            PRIMARY KEY (esp_id, gpio, sensor_type)
        ) STRICT, WITHOUT ROWID;
        """
    )


def _series_3(db: apsw.Connection) -> None:
    db.execute(
        """
        -- How far this store has come with the commits of others; moved in the transaction that takes them.
        CREATE TABLE taken (
            node TEXT NOT NULL, instance TEXT NOT NULL,
            cursor INTEGER NOT NULL, check_ INTEGER NOT NULL, newest_rx_ms INTEGER NOT NULL,
            PRIMARY KEY (node, instance)
        ) STRICT, WITHOUT ROWID;
        """
    )


def _registry_1(db: apsw.Connection) -> None:
    db.execute(
        """ CREATE TABLE devices ( esp_id TEXT PRIMARY KEY, record TEXT NOT NULL, first_seen INTEGER NOT NULL,
        last_seen INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """
    )


def _registry_2(db: apsw.Connection) -> None:
    db.execute(
        """
        -- What people set up on a device: large, rarely written. What the device says of itself stays in `devices`.
        CREATE TABLE device_setups (esp_id TEXT PRIMARY KEY, setup TEXT NOT NULL) STRICT, WITHOUT ROWID;
        -- Rows are only appended, and the newest always stays: so an id is never given twice.
        CREATE TABLE audit (
            id INTEGER PRIMARY KEY,
            ts_ms INTEGER NOT NULL, event_type TEXT NOT NULL, severity INTEGER NOT NULL,
            source_type TEXT NOT NULL, source_id TEXT NOT NULL, status TEXT NOT NULL, message TEXT NOT NULL,
            details TEXT NOT NULL, error_code TEXT NOT NULL, correlation_id TEXT NOT NULL, repeats INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE zones (
            zone_id TEXT PRIMARY KEY, record TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE keyed (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
        """
    )


def _registry_3(db: apsw.Connection) -> None:
    db.execute(
        """
        CREATE TABLE rules (
            id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, document TEXT NOT NULL, enabled INTEGER NOT NULL,
            priority INTEGER NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
        ) STRICT;
        -- What changes with every execution is not in `rules`: a rule's document may be many pages.
        CREATE TABLE rule_tallies (
            rule_id TEXT PRIMARY KEY, execution_count INTEGER NOT NULL, last_triggered_ms INTEGER, last_success INTEGER
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE rule_states (rule_id TEXT PRIMARY KEY, state BLOB NOT NULL, as_of_ms INTEGER NOT NULL) STRICT;
        -- Ids are the engine's and rise. success is NULL while it is under way.
        CREATE TABLE rule_executions (
            id INTEGER PRIMARY KEY,
            rule_id TEXT NOT NULL, rule_name TEXT NOT NULL, ts_ms INTEGER NOT NULL, success INTEGER,
            trigger TEXT NOT NULL, actions TEXT NOT NULL, error TEXT NOT NULL, duration_ms INTEGER,
            correlation_id TEXT NOT NULL
        ) STRICT;
        CREATE TABLE ledgers (
            esp_id TEXT NOT NULL, gpio INTEGER NOT NULL, ledger TEXT NOT NULL, PRIMARY KEY (esp_id, gpio)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE claims (
            esp_id TEXT NOT NULL, gpio INTEGER NOT NULL, holder TEXT NOT NULL, claim TEXT NOT NULL,
            PRIMARY KEY (esp_id, gpio, holder)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE actuator_history (
            id INTEGER PRIMARY KEY,
            ts_ms INTEGER NOT NULL, esp_id TEXT NOT NULL, gpio INTEGER NOT NULL, kind TEXT NOT NULL,
            command TEXT NOT NULL, value REAL NOT NULL, duration_s REAL, state TEXT NOT NULL, issued_by TEXT NOT NULL,
            code TEXT NOT NULL, message TEXT NOT NULL, correlation_id TEXT NOT NULL
        ) STRICT;
        -- Charts and run times ask for one actuator of hundreds, again and again: worth its page per write.
        CREATE INDEX actuator_history_of ON actuator_history (esp_id, gpio, ts_ms);
        CREATE TABLE stops (
            id TEXT PRIMARY KEY, stop TEXT NOT NULL, since_ms INTEGER NOT NULL,
            cleared_ms INTEGER, cleared_by TEXT NOT NULL, report TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE owed_clears (esp_id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE interlocks (id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
        CREATE TABLE couplings (id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT, WITHOUT ROWID;
        """
    )


def _registry_hierarchy(db: apsw.Connection) -> None:
    """Several Pis. The columns before the blank line are those that others read; times are Unix ms."""
    db.execute(
        """
        CREATE TABLE kaiser_registry (
            id INTEGER PRIMARY KEY,
            kaiser_id TEXT NOT NULL UNIQUE, god_id TEXT NOT NULL, kaiser_name TEXT NOT NULL,
            esp_devices TEXT NOT NULL DEFAULT '[]', status TEXT NOT NULL, last_heartbeat INTEGER,
            created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,

            document TEXT NOT NULL DEFAULT '{}'
        ) STRICT;
        CREATE TABLE esp_ownership (
            id INTEGER PRIMARY KEY,
            esp_id TEXT NOT NULL UNIQUE, current_owner TEXT NOT NULL, previous_owner TEXT,
            transfer_timestamp INTEGER NOT NULL, transfer_reason TEXT NOT NULL, created_at INTEGER NOT NULL,

            epoch INTEGER NOT NULL, lease_s REAL NOT NULL, home TEXT NOT NULL
        ) STRICT;
        CREATE TABLE command_chains (
            id INTEGER PRIMARY KEY,
            command_id TEXT NOT NULL UNIQUE, god_id TEXT NOT NULL, kaiser_id TEXT NOT NULL, esp_id TEXT,
            command_type TEXT NOT NULL, command_data TEXT NOT NULL, status TEXT NOT NULL,
            response_data TEXT NOT NULL, created_at INTEGER NOT NULL, completed_at INTEGER,

            step TEXT, timeout_s REAL, issued_by TEXT NOT NULL
        ) STRICT;
        CREATE TABLE performance_stats (
            id INTEGER PRIMARY KEY, metric_name TEXT NOT NULL, metric_value REAL NOT NULL, timestamp INTEGER NOT NULL
        ) STRICT;
        -- What the rules of a device need, as God has sent it.
        CREATE TABLE esp_documents (esp_id TEXT PRIMARY KEY, version TEXT NOT NULL, content BLOB NOT NULL) STRICT;
        """
    )


def _registry_accounts(db: apsw.Connection) -> None:
    db.execute(
        """
        CREATE TABLE users (
            -- AUTOINCREMENT: an id in an old token never becomes somebody else's.
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            username TEXT NOT NULL UNIQUE COLLATE NOCASE, email TEXT UNIQUE COLLATE NOCASE, full_name TEXT NOT NULL,
            role TEXT NOT NULL, active INTEGER NOT NULL, password TEXT NOT NULL, token_version INTEGER NOT NULL,
            created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE sessions (
            id TEXT PRIMARY KEY, user_id INTEGER NOT NULL, refresh TEXT NOT NULL, created_ms INTEGER NOT NULL,
            expires_ms INTEGER NOT NULL, keep_ms INTEGER NOT NULL, peer TEXT NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE api_keys (
            name TEXT PRIMARY KEY, digest TEXT NOT NULL UNIQUE, role TEXT NOT NULL, scopes TEXT,
            created_ms INTEGER NOT NULL, created_by TEXT NOT NULL, last_used_ms INTEGER
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE login_failures (
            username TEXT PRIMARY KEY, failures INTEGER NOT NULL, last_ms INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        """
    )


SERIES_MIGRATIONS: tuple[Migration, ...] = (_series_1, _series_2, _series_3)
REGISTRY_MIGRATIONS: tuple[Migration, ...] = (
    _registry_1,
    _registry_2,
    _registry_3,
    _registry_hierarchy,
    _registry_accounts,
)


def migrate(db: apsw.Connection, migrations: Sequence[Migration]) -> None:
    """Bring `db` to the newest version, all or nothing.

    Raises:
        SchemaError: a newer growyd has written it.
    """
    found = db.pragma("user_version")
    newest = len(migrations)
    if found > newest:
        raise SchemaError(
            f"{db.filename} has schema version {found}, this growyd knows up to {newest}",
            cure="Start the newer growyd that wrote it, or restore a backup made before the upgrade",
        )
    if found == newest:
        return
    with db:
        for step in migrations[found:]:
            step(db)
        db.pragma("user_version", newest)


def open_writing(
    path: Path, *, synchronous: str, migrations: Sequence[Migration], vfs: str | None
) -> apsw.Connection:
    """The one writing connection to a database, created and migrated where needed. Checkpoints are the
    caller's.

    Raises:
        SchemaError: a newer growyd has written it.
        apsw.Error: it cannot be opened or written (see `faults.typed`).
    """
    db = apsw.Connection(str(path), vfs=vfs)
    try:
        db.set_busy_timeout(BUSY_MS)
        db.pragma("page_size", PAGE_SIZE)
        db.pragma("journal_mode", "wal")
        db.pragma("synchronous", synchronous)
        db.wal_autocheckpoint(0)
        migrate(db, migrations)
        # A database that opens may still be read-only: this says so now, not at the first commit.
        with db:
            db.pragma("user_version", len(migrations))
    except BaseException:
        db.close(True)
        raise
    return db


def open_reading(path: Path, *, vfs: str | None = None) -> apsw.Connection:
    """A read-only connection; the file must exist."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY, vfs=vfs)
    db.set_busy_timeout(BUSY_MS)
    db.pragma("query_only", 1)
    return db


def file_size(path: Path) -> int:
    """Bytes of a database's file, 0 if there is none (a WAL that was removed)."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
