"""The old database is read in whatever state it was left, and nothing of it is changed: no byte, no file beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from rig.legacy import SCHEMA, T0, legacy_file, row

from growy.model.errors import StoreError
from growy.store.legacy import open_source
from growy.store.legacy.ownership import extension_rows

ROWS = [row(T0 + at) for at in range(25)]


def look(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of a folder: content and time of the last change."""
    return {one.name: (one.read_bytes(), one.stat().st_mtime_ns) for one in folder.iterdir()}


def rowids(path: Path, aside: Path) -> list[int]:
    with open_source(path, aside) as source:
        return [one[0] for page in source.pages(0, 10) for one in page]


@pytest.fixture
def aside(tmp_path: Path) -> Path:
    folder = tmp_path / "aside"
    folder.mkdir()
    return folder


@pytest.fixture
def there(tmp_path: Path) -> Path:
    folder = tmp_path / "old server"
    folder.mkdir()
    return folder / "growy_database.db"


@pytest.fixture
def old_server(there: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts a process that has the database open as the old server has, and has just written to it."""
    started: list[subprocess.Popen[bytes]] = []

    def start(statements: str) -> subprocess.Popen[bytes]:
        program = (
            f"import sys, apsw\ndb = apsw.Connection({str(there)!r})\n{statements}\n"
            "print('up', flush=True)\nsys.stdin.read()"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


@pytest.mark.parametrize("mode", ["delete", "wal", "persist"])
def test_reading_leaves_no_trace(there: Path, aside: Path, mode: str) -> None:
    legacy_file(there, ROWS, mode)
    before = look(there.parent)

    assert rowids(there, aside) == list(range(1, 26))
    assert look(there.parent) == before
    assert not list(aside.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_enough(there: Path, aside: Path) -> None:
    legacy_file(there, ROWS, "wal")
    there.parent.chmod(0o500)
    try:
        assert rowids(there, aside) == list(range(1, 26))
    finally:
        there.parent.chmod(0o700)


ADD = f"db.execute('INSERT INTO sensor_data (esp_id, timestamp) VALUES (?, ?)', ('ESP_00A001', {T0}))"


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_beside_the_running_old_server_its_newest_rows_are_seen(
    there: Path, aside: Path, old_server: Callable[[str], object], mode: str
) -> None:
    legacy_file(there, ROWS, mode)
    old_server(f"db.wal_autocheckpoint(0)\n{ADD}")
    names = {one.name for one in there.parent.iterdir()}
    assert ("growy_database.db-wal" in names) == (mode == "wal")

    assert rowids(there, aside) == list(range(1, 27))
    assert {one.name for one in there.parent.iterdir()} == names


def test_rows_in_the_wal_of_a_server_that_crashed_are_read_from_a_copy(
    there: Path, aside: Path, old_server: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    legacy_file(there, ROWS, "wal")
    child = old_server(f"db.wal_autocheckpoint(0)\n{ADD}")
    child.kill()
    child.wait()
    (there.parent / "growy_database.db-shm").unlink()  # as after a power cut, or on a stick
    before = look(there.parent)
    assert len(before) == 2

    assert rowids(there, aside) == list(range(1, 27))
    assert look(there.parent) == before
    assert not list(aside.iterdir())


def test_what_a_crashed_server_had_not_committed_is_not_read(
    there: Path, aside: Path, old_server: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    legacy_file(there, [row(T0 + at, kind="x" * 50) for at in range(3000)])
    child = old_server(
        "db.pragma('cache_size', 2)\ndb.execute('BEGIN')\ndb.execute(\"UPDATE sensor_data SET timestamp = 1\")"
    )
    child.kill()
    child.wait()
    assert (there.parent / "growy_database.db-journal").stat().st_size > 0

    with open_source(there, aside) as source:
        times = {one[6] for page in source.pages(0, 1000) for one in page}
    assert times == set(range(T0, T0 + 3000))


def test_a_file_that_is_written_to_while_nobody_should_is_noticed(there: Path, aside: Path) -> None:
    legacy_file(there, ROWS, "wal")
    with open_source(there, aside) as source:
        pages = source.pages(0, 10)
        assert len(next(pages)) == 10
        legacy_file(there, ROWS)
        with pytest.raises(StoreError, match="changed while it was read"):
            next(pages)


def test_rows_that_come_after_opening_are_for_the_next_time(there: Path, aside: Path) -> None:
    legacy_file(there, ROWS)
    with open_source(there, aside) as source:
        legacy_file(there, ROWS)
        assert sum(len(page) for page in source.pages(0, 7)) == 25


def test_text_that_is_no_utf8_is_shown_and_not_stumbled_over(there: Path, aside: Path) -> None:
    legacy_file(there, ROWS)
    db = apsw.Connection(str(there))
    db.execute("UPDATE sensor_data SET esp_id = CAST(x'4553505f80' AS TEXT) WHERE id = 12")
    db.close()

    with open_source(there, aside) as source:
        found = {one[0]: one for page in source.pages(0, 10) for one in page}
    assert found[12][1] == "ESP_\N{REPLACEMENT CHARACTER}"
    assert found[13][1:7] == ROWS[12][:6]


def test_an_old_table_without_the_newer_columns_is_read_too(there: Path, aside: Path) -> None:
    db = apsw.Connection(str(there))
    db.execute("CREATE TABLE sensor_data (esp_id TEXT, gpio INTEGER, sensor_type TEXT, raw_data, timestamp)")
    db.execute("INSERT INTO sensor_data VALUES ('ESP_00A001', 4, 'ph', 2000, ?)", (T0,))
    db.close()

    with open_source(there, aside) as source:
        assert list(source.pages(0, 10)) == [[(1, "ESP_00A001", 4, "ph", 2000, None, T0, None)]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "No such file"),
        (lambda path: path.write_bytes(b""), "not a SQLite database"),
        (lambda path: path.write_bytes(b"GIF89a" * 900), "not a SQLite database"),
        (lambda path: path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000), "not a database"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: apsw.Connection(str(path)).execute("CREATE TABLE x (y)"), "no table sensor_data"),
        (
            lambda path: apsw.Connection(str(path)).execute("CREATE TABLE sensor_data (esp_id, raw_data)"),
            "no column gpio, sensor_type, timestamp",
        ),
        (
            lambda path: apsw.Connection(str(path)).execute(
                "CREATE VIEW sensor_data AS"
                " SELECT 1 AS esp_id, 2 AS gpio, 3 AS sensor_type, 4 AS timestamp, 5 AS raw_data"
            ),
            "cannot be read|can be read",
        ),
    ],
)
def test_what_is_not_the_old_servers_database_is_named(
    there: Path, aside: Path, make: Callable[[Path], object], message: str
) -> None:
    make(there)
    with pytest.raises(StoreError, match=message), open_source(there, aside) as source:
        list(source.pages(0, 1))


def test_a_damaged_page_says_how_far_it_came(there: Path, aside: Path) -> None:
    legacy_file(there, [row(T0 + at, kind="x" * 50) for at in range(3000)])
    content = bytearray(there.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xa5" * 4096
    there.write_bytes(content)

    with (
        open_source(there, aside) as source,
        pytest.raises(StoreError, match=r"damaged behind row 1\d\d\d.*recover"),
    ):
        for _ in source.pages(0, 100):
            pass


def test_an_empty_table_has_no_rows(there: Path, aside: Path) -> None:
    apsw.Connection(str(there)).execute(SCHEMA)

    with open_source(there, aside) as source:
        assert (source.rows, list(source.pages(0, 10))) == (0, [])


def test_a_row_is_recognised_by_its_content(there: Path, aside: Path) -> None:
    legacy_file(there, [row(T0), row(T0), row(T0 + 1)])
    with open_source(there, aside) as source:
        assert source.fingerprint(1) == source.fingerprint(1) != source.fingerprint(3)
        assert source.fingerprint(4) == ""


def test_tables_of_the_extension_are_counted_where_they_are(there: Path, aside: Path) -> None:
    legacy_file(there, ROWS)
    db = apsw.Connection(str(there))
    db.execute("CREATE TABLE kaiser_registry (kaiser_id); INSERT INTO kaiser_registry VALUES ('k1'), ('k2')")
    db.execute("CREATE TABLE command_chains (command_id)")
    db.close()

    with open_source(there, aside) as source:
        assert extension_rows(source) == {"kaiser_registry": 2, "command_chains": 0}
