"""What became of the old database, for people and programs. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs

from growy.store.legacy.judge import MEANING, REMARKS, LegacyName, Why
from growy.store.legacy.tally import SeriesTally, Tally


@attrs.frozen(slots=True, kw_only=True)
class Report:
    """Of one run, and of all runs over this database together."""

    source: str
    dry_run: bool
    run: Tally
    total: Tally
    """All runs, this one included. In a dry run the same as `run`."""
    duration_s: float
    stored_bytes: int
    """By which series.db grew in this run."""
    new_series: int | None
    """Made by this run; in a dry run, to be made. None where that could not be looked up."""
    joined_series: int | None
    """Series that growyd had already, and that go on with the old readings."""
    owned_devices: int
    """Devices that had no owner, and belong to god now."""
    extension: dict[str, int]
    """Rows of the God/Kaiser tables in the old database, which this run has not taken."""

    def per_device(self) -> dict[str, SeriesTally]:
        """The series of each device together, in all runs."""
        found: dict[str, SeriesTally] = {}
        for name, one in self.total.series.items():
            found.setdefault(name.esp_id, SeriesTally()).join(one)
        return dict(sorted(found.items()))

    def to_dict(self) -> dict[str, object]:
        """For `--json`. What does not exist is null, times are ISO 8601."""
        return {
            "source": self.source,
            "dry_run": self.dry_run,
            "duration_s": round(self.duration_s, 3),
            "stored_bytes": self.stored_bytes,
            "new_series": self.new_series,
            "joined_series": self.joined_series,
            "owned_devices": self.owned_devices,
            "extension_tables": self.extension,
            "run": _counts(self.run),
            "total": _counts(self.total),
            "devices": {esp_id: _series(one) for esp_id, one in self.per_device().items()},
            "series": [
                {"esp_id": name.esp_id, "gpio": name.gpio, "sensor_type": name.sensor_type, **_series(one)}
                for name, one in sorted(self.total.series.items(), key=_by_name)
            ],
        }


def _counts(tally: Tally) -> dict[str, object]:
    return {
        "rows": tally.rows,
        "taken": tally.taken,
        "not_taken": {
            why.word: {"rows": count, "meaning": MEANING[why], "examples": tally.examples.get(why, [])}
            for why, count in sorted(tally.why.items())
            if why is not Why.TAKEN
        },
        "remarks": {
            remark.value: {"rows": count, "meaning": REMARKS[remark]}
            for remark, count in sorted(tally.remarks.items())
            if count
        },
        "timestamps": {unit.word: count for unit, count in sorted(tally.units.items())},
    }


def _series(one: SeriesTally) -> dict[str, object]:
    return {
        "taken": one.taken,
        "stored_already": one.stored_already,
        "refused": one.refused,
        "first": iso(one.first_ms),
        "last": iso(one.last_ms),
    }


def iso(ms: int | None) -> str | None:
    """Seconds are enough for a report."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")


def _by_name(item: tuple[LegacyName, SeriesTally]) -> tuple[str, int, str]:
    return item[0].esp_id, item[0].gpio, item[0].sensor_type
