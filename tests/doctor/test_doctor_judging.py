"""What the doctor makes of facts: one row per thing that can be wrong, and nothing wrong where nothing is."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from growy.doctor import (
    BrokerFacts,
    CertificateFacts,
    ControlFacts,
    Facts,
    FileFacts,
    FileKind,
    FleetFacts,
    FolderFault,
    Integrity,
    Level,
    MachineFacts,
    PartsFacts,
    RuleTrouble,
    SensorsFacts,
    Skew,
    Stale,
    WebFacts,
    Written,
    examine,
    worst,
)
from growy.doctor.card import wear
from growy.ops.machine import Power

DAY_S, YEAR_S = 86_400.0, 365.25 * 86_400
WELL = Facts(
    running=True,
    machine=MachineFacts(
        sqlite="3.54.1",
        sqlite_oldest="3.51.3",
        clock_synchronised=True,
        free_bytes=20_000_000_000,
        disk_bytes=32_000_000_000,
        least_free_bytes=20_000_000,
        written=Written(device_bytes=500_000_000, device_s=DAY_S, own_bytes=100_000_000, own_s=DAY_S),
        endurance_bytes=10_000_000_000_000,
        wal_bytes={"growy.db": 0, "series.db": 17_000_000},
        integrity=(Integrity(file="growy.db", verdict="ok"), Integrity(file="series.db", verdict="ok")),
        files=(FileFacts(path="/var/lib/growy/growy.db", kind=FileKind.DATA, mode=0o640),),
        backup_ages_s=(3 * DAY_S, 30 * DAY_S),
        power=Power(now=(), since_boot=()),
    ),
    parts=PartsFacts(uptime_s=DAY_S, workers=1, workers_alive=1),
    broker=BrokerFacts(connected=True, place="mqtt://127.0.0.1:1883", measured=True),
    certificates=(CertificateFacts(setting="[uplink] cert_file", left_s=31 * DAY_S),),
    web=WebFacts(host="127.0.0.1", port=8000, loopback=True),
    fleet=FleetFacts(devices=3, clocks=(Skew(esp_id="ESP_00A001", seconds=-1.2),)),
    sensors=SensorsFacts(sensors=9),
    control=ControlFacts(actuators=2, rules=2),
)


def changed(group: str, **facts: Any) -> Facts:
    return attrs.evolve(WELL, **{group: attrs.evolve(getattr(WELL, group), **facts)})


def files(kind: FileKind, mode: int) -> dict[str, Any]:
    return {"files": (FileFacts(path="/x", kind=kind, mode=mode),)}


def test_where_all_is_well_every_line_is_green_and_says_so_of_every_group() -> None:
    findings = examine(WELL)

    assert {finding.level for finding in findings} == {Level.GREEN}
    assert worst(findings) is Level.GREEN
    assert {finding.area for finding in findings} >= {
        *(
            "growyd",
            "store",
            "workers",
            "messages",
            "safety",
            "actuators",
            "rules",
            "broker",
            "certificate",
            "devices",
            "sensors",
        ),
        *(
            "libraries",
            "clock",
            "disk",
            "card",
            "sqlite",
            "wal",
            "database",
            "files",
            "backup",
            "power",
            "web",
        ),
    }
    assert not any(finding.cure for finding in findings)


TROUBLE = [
    ("machine", {"clock_synchronised": False}, "clock_not_synchronised", Level.AMBER, "not synchronised"),
    ("machine", {"free_bytes": 10_000_000}, "disk_full", Level.RED, "10 MB of 32 GB"),
    ("machine", {"free_bytes": 400_000_000}, "disk_full", Level.AMBER, "400 MB"),
    (
        "machine",
        {"written": Written(device_bytes=20_000_000_000, device_s=DAY_S)},
        "card_wears",
        Level.AMBER,
        "1.4 years",
    ),
    (
        "machine",
        {"written": Written(device_bytes=60_000_000_000, device_s=DAY_S)},
        "card_wears",
        Level.RED,
        "0.5 years",
    ),
    ("machine", {"sqlite": "3.51.2"}, "sqlite_old", Level.RED, "3.51.2"),
    ("machine", {"wal_bytes": {"series.db": 80_000_000}}, "wal_long", Level.AMBER, "series.db 80 MB"),
    (
        "machine",
        {"integrity": (Integrity(file="series.db", verdict="Page 7: btreeInitPage() returns error 11"),)},
        "database_damaged",
        Level.RED,
        "series.db is damaged: Page 7",
    ),
    ("machine", files(FileKind.DATA, 0o644), "file_readable", Level.AMBER, "Everyone may read /x"),
    ("machine", files(FileKind.SETTINGS, 0o644), "file_readable", Level.AMBER, "Everyone may read /x"),
    ("machine", files(FileKind.CODE, 0o757), "file_writable", Level.RED, "Everyone may write to /x"),
    ("machine", files(FileKind.CODE, 0o775), "file_writable", Level.AMBER, "group"),
    ("machine", files(FileKind.DOOR, 0o666), "file_writable", Level.RED, "Everyone may write to /x"),
    ("machine", {"backup_ages_s": ()}, "backup_old", Level.AMBER, "No backup"),
    ("machine", {"backup_ages_s": (8 * DAY_S,)}, "backup_old", Level.AMBER, "8 days"),
    (
        "machine",
        {"power": Power(now=("under-voltage",), since_boot=())},
        "under_voltage",
        Level.RED,
        "under-voltage",
    ),
    (
        "machine",
        {"power": Power(now=(), since_boot=("throttled",))},
        "under_voltage",
        Level.AMBER,
        "throttled",
    ),
    ("machine", {"folder": "/x", "folder_fault": FolderFault.MISSING}, "folder_missing", Level.RED, "/x"),
    (
        "machine",
        {"folder": "/x", "folder_fault": FolderFault.FORBIDDEN},
        "folder_forbidden",
        Level.AMBER,
        "/x",
    ),
    ("parts", {"standing_still": ("writer",)}, "part_stands_still", Level.RED, "writer"),
    ("parts", {"faults": 2}, "faults", Level.AMBER, "2 unforeseen"),
    ("parts", {"store_state": "full", "store_error": "no room"}, "store_full", Level.RED, "no room"),
    ("parts", {"store_state": "readonly"}, "store_readonly", Level.RED, "readonly"),
    ("parts", {"damaged": 1}, "readings_damaged", Level.AMBER, "1 blocks"),
    ("parts", {"workers_alive": 0}, "worker_down", Level.RED, "0 of 1"),
    ("parts", {"workers": 2}, "worker_down", Level.AMBER, "1 of 2"),
    (
        "parts",
        {"dead_letters": {"bad_json": 2, "no_topic": 7}},
        "dead_letters",
        Level.AMBER,
        "7 no_topic, 2 bad_json",
    ),
    ("broker", {"connected": False, "said": "refused"}, "broker_disconnected", Level.RED, "refused"),
    ("broker", {"advice": ("It drops.",)}, "broker_settings", Level.AMBER, "It drops."),
    ("broker", {"sessions_lost": 3}, "broker_forgets", Level.AMBER, "3 times"),
    ("broker", {"local": False}, "broker_plain", Level.AMBER, "another machine"),
    ("broker", {"embedded": True}, "broker_embedded", Level.AMBER, "embedded"),
    ("web", {"loopback": False, "host": "0.0.0.0"}, "web_exposed", Level.AMBER, "0.0.0.0:8000 is open"),
    ("web", {"users": 0}, "no_user", Level.AMBER, "no user yet"),
    ("fleet", {"devices": 0}, "no_devices", Level.AMBER, "No device"),
    (
        "fleet",
        {"offline": ("E1", "E2")},
        "devices_offline",
        Level.AMBER,
        "2 of 3 devices are not there: E1, E2",
    ),
    ("fleet", {"pending": ("E1",)}, "devices_pending", Level.AMBER, "E1"),
    ("fleet", {"in_error": ("E1",)}, "devices_in_error", Level.RED, "E1"),
    ("fleet", {"flapping": ("E1",)}, "devices_flapping", Level.AMBER, "E1"),
    ("fleet", {"unconfigured": ("E1",)}, "devices_unconfigured", Level.AMBER, "E1"),
    (
        "fleet",
        {"clocks": (Skew(esp_id="E1", seconds=-7300.0),)},
        "devices_skewed",
        Level.AMBER,
        "E1 2 h behind",
    ),
    (
        "sensors",
        {"stale": (Stale(sensor="E1:4", age_s=None),)},
        "sensor_stale",
        Level.AMBER,
        "E1:4 (never heard)",
    ),
    (
        "sensors",
        {"stale": (Stale(sensor="E1:4", age_s=600.0, rules=("Fan",)),)},
        "sensor_stale_in_rule",
        Level.RED,
        "E1:4 (for 10 min, in Fan)",
    ),
    ("sensors", {"set_aside": ("ph",)}, "library_set_aside", Level.RED, "ph"),
    ("sensors", {"broken": ("ph",)}, "library_broken", Level.AMBER, "ph"),
    ("control", {"stops": ("everything by ann",)}, "emergency_stop", Level.RED, "everything by ann"),
    ("control", {"stops": ("E1",), "unproven": ("E1",)}, "emergency_stop", Level.RED, "not proven by E1"),
    ("control", {"not_durable": 1}, "stop_not_durable", Level.RED, "not on disk"),
    (
        "control",
        {"unguarded": ("E1:5",), "default_run_s": 3600},
        "actuator_unguarded",
        Level.AMBER,
        "for 60 min",
    ),
    ("control", {"unknown": ("E1:5",)}, "actuator_unknown", Level.AMBER, "E1:5"),
    ("control", {"degraded": (RuleTrouble(rule="Fan", reason="no"),)}, "rule_degraded", Level.AMBER, "Fan"),
    ("control", {"faulty": (RuleTrouble(rule="Fan", reason="no"),)}, "rule_faulty", Level.RED, "Fan"),
]


@pytest.mark.parametrize(("group", "facts", "code", "level", "says"), TROUBLE, ids=lambda one: str(one)[:40])
def test_what_is_wrong_is_one_finding_with_its_cure(
    group: str, facts: dict[str, Any], code: str, level: Level, says: str
) -> None:
    bad = [finding for finding in examine(changed(group, **facts)) if finding.level is not Level.GREEN]

    assert [(finding.code, finding.level) for finding in bad] == [(code, level)]
    assert says in bad[0].message
    assert bad[0].cure
    assert worst(bad) is level


CERTIFICATES = [
    (30 * DAY_S - 1, "certificate_expires", Level.AMBER, "ends in 29 days"),
    (0.0, "certificate_expired", Level.RED, "has expired 0 s ago"),
    (-3 * DAY_S, "certificate_expired", Level.RED, "has expired 3 days ago"),
    (None, "certificate_unreadable", Level.RED, "/etc/x.pem: Permission denied"),
]


@pytest.mark.parametrize(("left_s", "code", "level", "says"), CERTIFICATES)
def test_a_client_certificate_is_renewed_in_time(
    left_s: float | None, code: str, level: Level, says: str
) -> None:
    fault = "/etc/x.pem: Permission denied" if left_s is None else ""
    one = CertificateFacts(setting="[uplink] cert_file", left_s=left_s, fault=fault)

    (found,) = [
        one for one in examine(Facts(running=True, certificates=(one,))) if one.level is not Level.GREEN
    ]

    assert (found.code, found.level) == (code, level)
    assert says in found.message
    assert found.cure


def test_every_code_has_been_made_to_happen() -> None:
    """A judgement that is added without a row above is found here: greens name what could have been wrong."""
    made = {*(row[2] for row in TROUBLE), *(row[1] for row in CERTIFICATES)}
    never = {finding.code for finding in examine(WELL)} - made
    assert never == set()


def test_what_is_not_known_is_not_said() -> None:
    assert examine(Facts(running=True)) == ()
    assert examine(Facts(running=True, machine=MachineFacts())) == ()


def test_a_daemon_that_does_not_run_is_red_and_the_machine_is_looked_at_all_the_same() -> None:
    findings = examine(Facts(running=False, why_not="No daemon answers.", machine=WELL.machine))

    assert (findings[0].code, findings[0].level) == ("not_running", Level.RED)
    assert "growyd run" in findings[0].cure
    assert "No daemon answers." in findings[0].message
    assert {finding.area for finding in findings} >= {"disk", "card", "database"}


def test_a_daemon_that_lets_one_not_in_is_not_said_to_be_down() -> None:
    (found,) = examine(Facts(running=False, barred=True, why_not="permission denied"))

    assert (found.code, found.level) == ("not_let_in", Level.AMBER)
    assert "sudo -u growy" in found.cure


def test_a_database_that_was_not_looked_at_to_its_end_is_not_called_sound_as_a_whole() -> None:
    found = examine(
        changed("machine", integrity=(Integrity(file="series.db", verdict="ok", complete=False),))
    )
    (said,) = [finding.message for finding in found if finding.area == "database"]
    assert "as far as" in said


def test_a_rate_of_the_first_minutes_is_told_and_not_judged() -> None:
    start = Written(own_bytes=2_000_000_000, own_s=600.0)
    (card,) = [one for one in examine(changed("machine", written=start)) if one.area == "card"]
    assert card.level is Level.GREEN
    assert "watched for 10 min" in card.message


def test_wear_is_of_the_whole_disk_where_that_is_known_else_of_growyd_alone() -> None:
    both = wear(Written(device_bytes=1000, device_s=DAY_S, own_bytes=250, own_s=DAY_S), 365_250)
    own = wear(Written(own_bytes=250, own_s=DAY_S / 2), 0)

    assert both is not None
    assert (both.day_bytes, both.own_share, both.whole_disk, both.years) == (1000, 0.25, True, 1.0)
    assert own is not None
    assert (own.day_bytes, own.own_share, own.whole_disk, own.years) == (500, None, False, None)
    assert wear(Written(), 1000) is None


def test_the_last_look_at_a_disk_that_nobody_writes_to_promises_no_life() -> None:
    still = wear(Written(device_bytes=0, device_s=DAY_S), 10**13)
    assert still is not None
    assert still.years is None


def test_many_names_are_cut_and_counted() -> None:
    names = tuple(f"E{number}" for number in range(9))
    (found,) = [one for one in examine(changed("fleet", offline=names)) if one.code == "devices_offline"]
    assert found.message.endswith("E0, E1, E2, E3 and 5 more")


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"users": 2}, ["Users: 2"]),
        ({"users": 0, "api_keys": 1}, ["No user, only API keys; growyd user add NAME makes the first user"]),
        ({"users": None}, []),
    ],
)
def test_who_has_keys_needs_no_user_but_is_told_how_to_make_one(
    facts: dict[str, Any], says: list[str]
) -> None:
    said = [finding for finding in examine(changed("web", **facts)) if finding.code == "no_user"]

    assert [finding.message for finding in said] == says
    assert all(finding.level is Level.GREEN for finding in said)
