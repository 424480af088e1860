"""What a doctor's visit looks at. Values only. None: not known here, and then nothing is said of it; never a guess."""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from growy.ops.machine import Power


@attrs.frozen(kw_only=True)
class Written:
    """Bytes that went to the disk in a time that was watched."""

    device_bytes: int | None = None
    """By all programs together, to the whole disk, since the boot."""
    device_s: float | None = None
    """How long that is ago, seconds."""
    own_bytes: int | None = None
    """By growyd alone, since its start."""
    own_s: float | None = None


@attrs.frozen(kw_only=True)
class Integrity:
    """What SQLite says of a database's inner order."""

    file: str
    verdict: str
    """`ok`, or the first thing that is wrong."""
    complete: bool = True
    """False: time was up before all of it had been looked at."""


class FileKind(enum.StrEnum):
    """Why it matters who may read or write a file."""

    DATA = "data"
    """Readings, rules, users: nobody else's to change, and not for everyone to read."""
    SETTINGS = "settings"
    """Holds passwords."""
    CODE = "code"
    """Sensor libraries: whoever may write here has growyd run what he likes."""
    DOOR = "door"
    """The socket of the command line: whoever may write to it may do anything."""


@attrs.frozen(kw_only=True)
class FileFacts:
    """One file or folder that ought to be guarded."""

    path: str
    kind: FileKind
    mode: int
    """Permission bits."""


class FolderFault(enum.StrEnum):
    """Why the folder of the databases could not be looked into."""

    MISSING = "missing"
    FORBIDDEN = "forbidden"
    """To whoever asks."""


@attrs.frozen(kw_only=True)
class MachineFacts:
    """The computer and the disk; can be looked at without a daemon."""

    folder: str = ""
    """Of the databases."""
    folder_fault: FolderFault | None = None
    sqlite: str = ""
    """Version in use; "" not looked at."""
    sqlite_oldest: str = ""
    """The oldest that keeps what it has committed."""
    clock_synchronised: bool | None = None
    free_bytes: int | None = None
    disk_bytes: int | None = None
    least_free_bytes: int = 0
    """Less than this counts as full."""
    written: Written | None = None
    endurance_bytes: int = 0
    """What may be written to the card in its life; 0 not said."""
    wal_bytes: Mapping[str, int] = attrs.field(factory=dict)
    """Size of the write-ahead log, by database."""
    integrity: tuple[Integrity, ...] = ()
    files: tuple[FileFacts, ...] = ()
    backup_ages_s: tuple[float, ...] | None = None
    """Of every copy of the databases that was found; None: not looked for."""
    power: Power | None = None


@attrs.frozen(kw_only=True)
class BrokerFacts:
    connected: bool
    """By growyd; where none runs, whether it answers at all (`knocked`)."""
    place: str
    """Without credentials."""
    knocked: bool = False
    """Nothing but a knock at its port is known."""
    said: str = ""
    """What went wrong last."""
    embedded: bool = False
    local: bool = True
    """On this machine."""
    tls: bool = False
    measured: bool = False
    """What follows was measured of the broker as it is now."""
    advice: tuple[str, ...] = ()
    sessions_lost: int = 0


@attrs.frozen(kw_only=True)
class CertificateFacts:
    """A client certificate that is shown a broker."""

    setting: str
    """`[uplink] cert_file`."""
    left_s: float | None
    """Until it expires; less than 0: it has. None: it cannot be read."""
    fault: str = ""
    """Why not."""


@attrs.frozen(kw_only=True)
class Skew:
    esp_id: str
    seconds: float
    """Greater than 0: its clock is ahead of ours."""


@attrs.frozen(kw_only=True)
class FleetFacts:
    devices: int
    offline: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    in_error: tuple[str, ...] = ()
    flapping: tuple[str, ...] = ()
    unconfigured: tuple[str, ...] = ()
    """With items that they could not be configured with."""
    clocks: tuple[Skew, ...] = ()
    """Of every device whose clock could be compared."""


@attrs.frozen(kw_only=True)
class Stale:
    sensor: str
    age_s: float | None
    """None: has never sent a value."""
    rules: tuple[str, ...] = ()
    """That look at it."""


@attrs.frozen(kw_only=True)
class SensorsFacts:
    sensors: int
    """Values that are set up to be measured by themselves, on devices that are there."""
    stale: tuple[Stale, ...] = ()
    set_aside: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    """Libraries whose newest file is not in use."""


@attrs.frozen(kw_only=True)
class PartsFacts:
    """The daemon's own parts."""

    uptime_s: float
    workers: int
    workers_alive: int
    standing_still: tuple[str, ...] = ()
    store_state: str = "ok"
    store_error: str = ""
    damaged: int = 0
    """Blocks of readings that cannot be read."""
    dead_letters: Mapping[str, int] = attrs.field(factory=dict)
    """Of the last day, by reason."""
    dead_letters_full: bool = False
    """There are more than are kept."""
    faults: int = 0
    """Failures of growyd that nobody foresaw; the log has each."""


@attrs.frozen(kw_only=True)
class RuleTrouble:
    rule: str
    reason: str


@attrs.frozen(kw_only=True)
class ControlFacts:
    actuators: int
    rules: int = 0
    stops: tuple[str, ...] = ()
    """In force, in words."""
    unproven: tuple[str, ...] = ()
    """Devices that have not proven a stop."""
    not_durable: int = 0
    """Stops that the disk has not taken."""
    unguarded: tuple[str, ...] = ()
    """Actuators with neither an interlock nor a longest run of their own."""
    default_run_s: int = 0
    """Longest run of those."""
    unknown: tuple[str, ...] = ()
    """Actuators of devices that are there, of which nobody knows whether they are on."""
    degraded: tuple[RuleTrouble, ...] = ()
    """Rules that hold and cannot act, or that wait for a sensor."""
    faulty: tuple[RuleTrouble, ...] = ()
    """Rules that cannot be run at all."""


@attrs.frozen(kw_only=True)
class WebFacts:
    host: str
    port: int
    loopback: bool
    tls: bool = False
    users: int | None = None
    """None: growyd does not run, so nobody has counted."""
    api_keys: int = 0
