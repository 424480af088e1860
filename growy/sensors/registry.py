"""Which libraries exist now, what they declare, how they fare. Plans are made here. No files, no processes, no
library code.

The registry is told what was found (`offer`, `refuse`, `withdraw`, then `decide`) and keeps for every name the
version that serves: the grower's before the shipped one, and an older one for as long as its successor has not passed
its self-test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import attrs

from growy.model.errors import ConversionError
from growy.sensors.calibration import Calibration, Point, fit
from growy.sensors.plan import OutputInfo, Plan, make_plan
from growy.sensors.sources import SourceFile
from sensor_libs import Library, Output

OLD_VERSIONS: Final = 3
"""Versions kept beside the newest, for plans that were made before a reload. Callers renew them with the next
batch."""

State = Literal["active", "set_aside", "failed"]


@attrs.frozen(slots=True)
class LibraryStatus:
    """A library for people (`growyd sensors list`)."""

    name: str
    version: str
    """"" while no version of it has ever passed its self-test."""
    path: str
    shipped: bool
    types: tuple[str, ...]
    """Canonical types and aliases that this library serves now."""
    state: State
    error: str
    """Why it is set aside or failed, or why the file that was saved last is not in use; "" when all is well."""
    conversions: int
    """Rows converted by this version."""
    failures: int
    """Calls that this version failed."""


@attrs.define(slots=True, eq=False)
class Entry:
    """One version of one library, and how it fares."""

    library: Library
    digest: str
    source: SourceFile
    content: bytes
    conversions: int = 0
    failures: int = 0
    failures_in_row: int = 0
    set_aside: bool = False
    load_deaths: int = 0
    """Workers that died in a row while loading it."""
    last_error: str = ""

    @property
    def version(self) -> str:
        return f"{self.library.version}+{self.digest}"

    def succeeded(self, rows: int) -> None:
        self.conversions += rows
        self.failures_in_row = 0

    def failed(self, error: str, limit: int) -> bool:
        """Count a failure; True when it is the one that sets the library aside."""
        self.failures += 1
        self.failures_in_row += 1
        self.last_error = error
        if self.set_aside or self.failures_in_row < limit:
            return False
        self.set_aside = True
        return True

    def enable(self) -> None:
        self.set_aside = False
        self.failures_in_row = 0
        self.load_deaths = 0


class Registry:
    """What libraries exist now. `generation` grows whenever that changes: callers renew their plans then."""

    def __init__(self) -> None:
        self.generation = 0
        self._accepted: dict[Path, tuple[SourceFile, Entry]] = {}
        self._refused: dict[Path, tuple[SourceFile, str]] = {}
        self._versions: dict[str, Entry] = {}
        self._old: dict[str, list[str]] = {}
        self._serving: dict[str, Entry] = {}
        self._types: dict[str, tuple[Entry, Output]] = {}
        self._shadowed: dict[str, str] = {}

    # -- what the pool tells

    def offer(self, entry: Entry) -> None:
        """A version that passed its self-test. Call `decide` when all changes are told."""
        self._refused.pop(entry.source.path, None)
        known = self._versions.get(entry.digest)
        if known is not None and known.library.name == entry.library.name:
            known.enable()  # saved again, or reverted: the file changed, so it is given a new chance
            self._accepted[entry.source.path] = (entry.source, known)
            return
        self._versions[entry.digest] = entry
        self._accepted[entry.source.path] = (entry.source, entry)

    def refuse(self, source: SourceFile, error: str) -> None:
        """A file that cannot be used. What served before goes on serving."""
        self._refused[source.path] = (source, error)

    def withdraw(self, path: Path) -> None:
        """A file that is gone."""
        self._accepted.pop(path, None)
        self._refused.pop(path, None)

    def known(self, digest: str, name: str) -> Entry | None:
        """A version that was tested before, and is kept."""
        entry = self._versions.get(digest)
        return entry if entry is not None and entry.library.name == name else None

    def decide(self) -> list[str]:
        """Decide anew who serves. Returns the digests that nobody needs any more."""
        serving: dict[str, Entry] = {}
        # The grower's come last and win; both sorted, so that a clash of types ends the same way every time.
        for source, entry in sorted(
            self._accepted.values(), key=lambda pair: (not pair[0].shipped, pair[0].name)
        ):
            entry.source = source  # a grower's copy of a shipped file is the same version at another place
            serving[entry.library.name] = entry
        if {n: e.digest for n, e in serving.items()} != {n: e.digest for n, e in self._serving.items()}:
            self.generation += 1
        for name, before in self._serving.items():
            now = serving.get(name)
            if now is None or now.digest != before.digest:
                older = self._old.setdefault(name, [])
                if before.digest in older:
                    older.remove(before.digest)
                older.append(before.digest)
        self._serving = serving
        self._assign_types()
        return self._forget()

    def _assign_types(self) -> None:
        self._types.clear()
        self._shadowed.clear()
        ranked = sorted(self._serving.values(), key=lambda e: (e.source.shipped, e.library.name))
        for entry in ranked:
            for output in entry.library.outputs:
                for name in (output.type, *output.aliases):
                    holder, _ = self._types.setdefault(name, (entry, output))
                    if holder is not entry:
                        said = self._shadowed.get(entry.library.name, "types taken by others:")
                        self._shadowed[entry.library.name] = f"{said} {name} ({holder.library.name})"

    def _forget(self) -> list[str]:
        current = {entry.digest for _, entry in self._accepted.values()}
        for name, digests in self._old.items():
            self._old[name] = [digest for digest in digests if digest not in current][-OLD_VERSIONS:]
        kept = current | {digest for digests in self._old.values() for digest in digests}
        gone = [digest for digest in self._versions if digest not in kept]
        for digest in gone:
            del self._versions[digest]
        return gone

    # -- what the pool asks

    def entry(self, digest: str) -> Entry | None:
        """The version that a plan names, also an older one."""
        return self._versions.get(digest)

    def serving(self) -> list[Entry]:
        return list(self._serving.values())

    # -- what everybody asks

    def resolve(self, value_type: str) -> OutputInfo | None:
        """The output that a wire type or alias means, in any case of letters. None: no library converts it."""
        found = self._types.get(value_type.lower())
        if found is None:
            return None
        entry, output = found
        return OutputInfo(
            library=entry.library.name,
            version=entry.version,
            value_type=output.type,
            unit=output.unit,
            quantity=output.quantity,
            low=output.low,
            high=output.high,
            decimals=output.decimals,
            inputs=output.inputs,
        )

    def plan(
        self,
        value_type: str,
        settings: Mapping[str, object] | None = None,
        calibration: Calibration | None = None,
    ) -> Plan:
        """How rows of this type, with these settings and this calibration, are converted.

        Precedence of numbers: library default < preset of a choice < what an alias stands for < `settings` <
        `calibration`.

        Raises:
            ConversionError: unknown type, or a setting the library does not have or allow; names it.
            CalibrationError: the calibration is for another kind of sensor.
        """
        entry, output = self._find(value_type)
        implied = output.implied(value_type.lower())
        return make_plan(entry.library, output, entry.digest, implied, settings or {}, calibration)

    def calibrate(
        self,
        value_type: str,
        method: str,
        points: Sequence[Point],
        settings: Mapping[str, object] | None = None,
    ) -> Calibration:
        """Fit a calibration for a sensor with these settings. Raises ConversionError, CalibrationError with the
        reason."""
        nominal = self.plan(value_type, settings).numbers()
        _, output = self._find(value_type)
        return fit(
            method,
            points,
            value_unit=output.unit,
            nominal={**nominal, "low": output.low, "high": output.high},
        )

    def library(self, name: str) -> Library | None:
        """The declaration that serves under this name."""
        entry = self._serving.get(name)
        return None if entry is None else entry.library

    def describe(self) -> list[LibraryStatus]:
        """All libraries by name: those that serve, and files that cannot."""
        refused = {source.name: (source, error) for source, error in self._refused.values()}
        statuses = []
        for name, entry in self._serving.items():
            complaint = refused.pop(name, None)
            if entry.set_aside:
                error = f"set aside after {entry.failures_in_row} failures in a row: {entry.last_error}"
            elif complaint is not None:
                error = f"{complaint[0].path} is not in use: {complaint[1]}"
            else:
                error = self._shadowed.get(name, "")
            statuses.append(
                LibraryStatus(
                    name=name,
                    version=entry.version,
                    path=str(entry.source.path),
                    shipped=entry.source.shipped,
                    types=tuple(type for type, (holder, _) in self._types.items() if holder is entry),
                    state="set_aside" if entry.set_aside else "active",
                    error=error,
                    conversions=entry.conversions,
                    failures=entry.failures,
                )
            )
        for name, (source, error) in refused.items():
            statuses.append(
                LibraryStatus(name, "", str(source.path), source.shipped, (), "failed", error, 0, 0)
            )
        return sorted(statuses, key=lambda status: status.name)

    def _find(self, value_type: str) -> tuple[Entry, Output]:
        found = self._types.get(value_type.lower())
        if found is None:
            raise ConversionError(
                f"no sensor library converts {value_type!r}",
                cure="Put a library for it into the library folder; `growyd sensors list` shows what there is",
                details={"value_type": value_type},
            )
        return found
