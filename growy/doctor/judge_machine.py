"""Judges the computer: clock, disk, card, databases, files, backups, power. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from growy.doctor.card import wear
from growy.doctor.facts import FileFacts, FileKind, FolderFault, MachineFacts
from growy.doctor.verdict import Finding, amber, green, red, size, some, span

LOW_FREE = 500_000_000
"""Bytes: about what a month of 500 sensors takes, with Mosquitto's queue beside it."""
LONG_WAL = 64 * 1_048_576
"""Bytes: twice what growyd lets the log grow to before it copies it regardless."""
GOOD_YEARS, POOR_YEARS = 3.0, 1.0
OLD_BACKUP_S = 7 * 86_400.0
_GROUP_WRITES, _OTHERS = 0o020, 0o007
_OTHERS_WRITE = 0o002
_OTHERS_READ = 0o004


def machine(facts: MachineFacts) -> Iterator[Finding]:
    """Every check of the machine for which there are facts."""
    yield from _folder(facts)
    yield from _clock(facts)
    yield from _disk(facts)
    yield from _card(facts)
    yield from _databases(facts)
    yield from _files(facts.files)
    yield from _backups(facts)
    yield from _power(facts)


def _folder(facts: MachineFacts) -> Iterator[Finding]:
    if facts.folder_fault is FolderFault.MISSING:
        yield red(
            "store",
            "folder_missing",
            f"{facts.folder} does not exist: growyd has never run here, or its disk is not mounted",
            "[node] data_dir and [store] path; mount; growyd makes the folder when it starts",
        )
    elif facts.folder_fault is FolderFault.FORBIDDEN:
        yield amber(
            "store",
            "folder_forbidden",
            f"{facts.folder} is not yours to look into: databases, backups and files were not looked at",
            "sudo -u growy growyd doctor",
        )


def _clock(facts: MachineFacts) -> Iterator[Finding]:
    if facts.clock_synchronised:
        yield green("clock", "clock_not_synchronised", "The clock is synchronised")
    elif facts.clock_synchronised is False:
        yield amber(
            "clock",
            "clock_not_synchronised",
            "The clock is not synchronised: readings may be stamped wrongly, and schedules run at the wrong time",
            "timedatectl set-ntp true; without a network, fit a clock chip",
        )


def _disk(facts: MachineFacts) -> Iterator[Finding]:
    free = facts.free_bytes
    if free is None:
        return
    of = f" of {size(facts.disk_bytes)}" if facts.disk_bytes else ""
    cure = "sudo apt clean; sudo journalctl --vacuum-size=50M; old backups; then [store] retention_days"
    if free < max(facts.least_free_bytes, 1):
        yield red("disk", "disk_full", f"{size(free)}{of} free: nothing is stored any more", cure)
    elif free < LOW_FREE:
        yield amber("disk", "disk_full", f"Only {size(free)}{of} free", cure)
    else:
        yield green("disk", "disk_full", f"{size(free)}{of} free")


def _card(facts: MachineFacts) -> Iterator[Finding]:
    worn = None if facts.written is None else wear(facts.written, facts.endurance_bytes)
    if worn is None:
        return
    who = "All programs write" if worn.whole_disk else "growyd writes"
    share = "" if worn.own_share is None else f" (growyd {worn.own_share:.0%})"
    said = f"{who} {size(worn.day_bytes)} a day{share}, as watched for {span(worn.watched_s)}"
    if worn.years is None:
        yield green("card", "card_wears", said)
        return
    life = "over 100 years" if worn.years > 100 else f"{worn.years:.1f} years"
    said += f": a card that bears {size(facts.endurance_bytes)} lasts {life}"
    cure = "[store] commit_interval = 5; journald with Storage=volatile; a USB SSD for /var/lib/growy"
    if not worn.telling or worn.years >= GOOD_YEARS:
        yield green("card", "card_wears", said)
    elif worn.years >= POOR_YEARS:
        yield amber("card", "card_wears", said, cure)
    else:
        yield red("card", "card_wears", said, cure)


def _databases(facts: MachineFacts) -> Iterator[Finding]:
    if facts.sqlite:
        if _numbers(facts.sqlite) < _numbers(facts.sqlite_oldest):
            yield red(
                "sqlite",
                "sqlite_old",
                f"SQLite {facts.sqlite} can lose committed readings",
                f"Install apsw >= {facts.sqlite_oldest}",
            )
        else:
            yield green("sqlite", "sqlite_old", f"SQLite {facts.sqlite}")
    if facts.wal_bytes:
        said = ", ".join(f"{name} {size(count)}" for name, count in facts.wal_bytes.items())
        if max(facts.wal_bytes.values()) > LONG_WAL:
            yield amber(
                "wal",
                "wal_long",
                f"A write-ahead log has grown long: {said}",
                "A program that keeps a database open hinders growyd from copying it: end it (lsof), or restart growyd",
            )
        else:
            yield green("wal", "wal_long", f"Write-ahead logs: {said}")
    for found in facts.integrity:
        if found.verdict != "ok":
            yield red(
                "database",
                "database_damaged",
                f"{found.file} is damaged: {found.verdict[:200]}",
                "Stop growyd, keep the file, restore a backup; look at the card (dmesg)",
            )
        elif not found.complete:
            yield green(
                "database", "database_damaged", f"{found.file} is sound as far as it was looked at in time"
            )
        else:
            yield green("database", "database_damaged", f"{found.file} is sound")


def _files(files: tuple[FileFacts, ...]) -> Iterator[Finding]:
    bad = [(one, what) for one in files if (what := _open_to(one))]
    for one, what in bad:
        cure = f"chmod {_guarded(one):o} {one.path}"
        if what == "write":
            yield red("files", "file_writable", f"Everyone may write to {one.path}", cure)
        elif what == "group":
            yield amber("files", "file_writable", f"Its whole group may write to {one.path}", cure)
        else:
            yield amber("files", "file_readable", f"Everyone may read {one.path}", cure)
    if files and not bad:
        yield green("files", "file_writable", f"{len(files)} files and folders are open to nobody else")


def _open_to(one: FileFacts) -> str:
    if one.mode & _OTHERS_WRITE:
        return "write"
    if one.kind is FileKind.CODE:
        return "group" if one.mode & _GROUP_WRITES else ""
    return "read" if one.mode & _OTHERS_READ else ""


def _guarded(one: FileFacts) -> int:
    if one.kind is FileKind.CODE:
        return one.mode & ~(_OTHERS_WRITE | _GROUP_WRITES)
    return one.mode & ~_OTHERS


def _backups(facts: MachineFacts) -> Iterator[Finding]:
    ages = facts.backup_ages_s
    if ages is None:
        return
    cure = "Copy the databases to somewhere off the card: docs/operations.md, Backup and restore"
    if not ages:
        yield amber("backup", "backup_old", "No backup was found beside the databases", cure)
    elif min(ages) > OLD_BACKUP_S:
        yield amber("backup", "backup_old", f"The newest backup is {span(min(ages))} old", cure)
    else:
        yield green("backup", "backup_old", f"The newest backup is {span(min(ages))} old")


def _power(facts: MachineFacts) -> Iterator[Finding]:
    if facts.power is None:
        return
    cure = "Use the Pi's own power supply and a short, thick cable"
    if facts.power.now:
        yield red("power", "under_voltage", f"The Pi has at this moment: {some(facts.power.now)}", cure)
    elif facts.power.since_boot:
        yield amber(
            "power", "under_voltage", f"Since its boot the Pi has had: {some(facts.power.since_boot)}", cure
        )
    else:
        yield green("power", "under_voltage", "The power supply holds")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
