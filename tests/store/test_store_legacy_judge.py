"""Which rows of the old database become readings, what they become, and what is said of the others."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.legacy import ESP, NOW_MS, T0, row

from growy.control.samples import trusted
from growy.model.reading import Quality
from growy.store.legacy.judge import MEANING, REMARKS, Bounds, LegacyName, Names, Remark, Why, judge
from growy.store.legacy.tally import SeriesTally, Tally

BOUNDS = Bounds(NOW_MS)


def judged(*rows, most=100, bounds=BOUNDS):
    names = Names(most)
    return judge([(at, *one) for at, one in enumerate(rows, 1)], names, bounds), names.names


def why(one, **options):
    return Why(int(judged(one, **options)[0].why[0]))


def remarks(one):
    bits = int(judged(one)[0].remarks[0])
    return {remark for bit, remark in enumerate(Remark) if bits >> bit & 1}


def test_a_good_row_keeps_all_that_it_says():
    found, names = judged(row(T0, raw=-12, value=-0.75, created=T0 + 2))

    assert names == [LegacyName(ESP, 4, "ds18b20")]
    assert (found.why[0], found.name[0], found.ts_ms[0], found.rx_ms[0]) == (
        Why.TAKEN,
        0,
        T0 * 1000,
        T0 * 1000 + 2000,
    )
    assert (found.raw[0], found.value[0], found.quality[0]) == (-12.0, -0.75, Quality.UNKNOWN)


def test_zero_is_a_value():
    found, _ = judged(row(value=0.0, raw=0))

    assert (found.why[0], found.value[0], found.raw[0]) == (Why.TAKEN, 0.0, 0.0)


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (row(esp_id="esp_00a001"), Why.BAD_ESP_ID),
        (row(esp_id="ESP_XYZ"), Why.BAD_ESP_ID),
        (row(esp_id=None), Why.BAD_ESP_ID),
        (row(esp_id=17), Why.BAD_ESP_ID),
        (row(esp_id="ESP_00A001; DROP TABLE"), Why.BAD_ESP_ID),
        (row(gpio=256), Why.BAD_GPIO),
        (row(gpio=-1), Why.BAD_GPIO),
        (row(gpio=4.5), Why.BAD_GPIO),
        (row(gpio=None), Why.BAD_GPIO),
        (row(gpio="four"), Why.BAD_GPIO),
        (row(kind=""), Why.BAD_SENSOR_TYPE),
        (row(kind=None), Why.BAD_SENSOR_TYPE),
        (row(kind="température"), Why.BAD_SENSOR_TYPE),
        (row(kind="x" * 65), Why.BAD_SENSOR_TYPE),
        (row(None), Why.NO_TIME),
        (row(0), Why.NO_TIME),
        (row("yesterday"), Why.BAD_TIME),
        (row(-T0), Why.BAD_TIME),
        (row(3600), Why.BEFORE_2020),
        (row("1970-01-01 00:20:00"), Why.BEFORE_2020),
        (row(4_000_000_000), Why.IN_THE_FUTURE),
        (row(2**62), Why.IN_THE_FUTURE),
        (row(raw=None, value=None), Why.NOTHING_MEASURED),
        (row(raw=None, value=math.inf), Why.NOTHING_MEASURED),
        (row(raw="broken"), Why.BAD_RAW),
        (row(raw=2**60), Why.BAD_RAW),
        (row(raw=math.inf), Why.BAD_RAW),
    ],
)
def test_what_cannot_be_a_reading_is_refused_with_its_reason(one, reason):
    assert why(one) is reason


def test_of_several_reasons_the_first_one_counts():
    assert why(row(None, esp_id="x", raw=None, value=None)) is Why.BAD_ESP_ID


@pytest.mark.parametrize("kind", ["DS18B20", " ds18b20 ", "Ds18B20"])
def test_a_type_is_one_type_in_whatever_case_and_under_whatever_blanks(kind):
    _, names = judged(row(), row(kind=kind), row(gpio="4"), row(gpio=4.0))

    assert names == [LegacyName(ESP, 4, "ds18b20")]


def test_a_type_that_nobody_knows_keeps_its_name():
    found, names = judged(row(kind="Dendrometer_v2"))

    assert (found.why[0], names[0].sensor_type) == (Why.TAKEN, "dendrometer_v2")


@pytest.mark.parametrize(
    ("one", "remark", "quality"),
    [
        (row(value=None), Remark.NO_VALUE, Quality.UNKNOWN),
        (row(value=math.inf), Remark.VALUE_NOT_FINITE, Quality.ERROR),
        (row(value=-math.inf), Remark.VALUE_NOT_FINITE, Quality.ERROR),
        (row(value="n/a"), Remark.VALUE_UNREADABLE, Quality.ERROR),
    ],
)
def test_what_is_no_value_is_none_and_never_a_number(one, remark, quality):
    found, _ = judged(one)

    assert found.why[0] == Why.TAKEN
    assert np.isnan(found.value[0])
    assert (found.raw[0], found.quality[0]) == (360.0, quality)
    assert remarks(one) == {remark}


def test_a_row_with_a_value_and_no_raw_is_kept_as_such_live_readings_are():
    found, _ = judged(row(raw=None, value=6.2))

    assert (found.why[0], found.raw[0], found.value[0]) == (Why.TAKEN, 6.2, 6.2)
    assert remarks(row(raw=None, value=6.2)) == {Remark.RAW_FROM_VALUE}


def test_a_negative_raw_that_was_printed_as_unsigned_is_negative_again():
    assert judged(row(raw=2**32 - 12))[0].raw[0] == -12.0
    assert remarks(row(raw=2**32 - 12)) == {Remark.RAW_WAS_UNSIGNED}


@pytest.mark.parametrize("created", [None, "rubbish", T0 - 7200, T0 + 7200, 0])
def test_a_time_of_receipt_that_cannot_be_one_is_not_believed(created):
    assert judged(row(created=created))[0].rx_ms[0] == T0 * 1000


def test_nothing_was_received_later_than_now():
    found, _ = judged(row(NOW_MS + 200_000, created=NOW_MS + 250_000), row(NOW_MS + 300_001))

    assert found.why.tolist() == [Why.TAKEN, Why.IN_THE_FUTURE]
    assert (found.ts_ms[0], found.rx_ms[0]) == (NOW_MS + 200_000, NOW_MS)


def test_no_rule_acts_on_what_the_old_server_made_of_a_reading():
    found, _ = judged(row(), row(value=None), row(value="?"), row(raw=None))

    assert (found.why == Why.TAKEN).all()
    assert not trusted(found.quality).any()


def test_more_series_than_growyd_takes_are_refused_and_the_others_go_on():
    found, names = judged(*(row(gpio=gpio) for gpio in (1, 2, 3, 1)), most=2)

    assert found.why.tolist() == [Why.TAKEN, Why.TAKEN, Why.TOO_MANY_SERIES, Why.TAKEN]
    assert len(names) == 2


def test_what_retention_would_delete_at_once_is_not_taken():
    assert why(row(T0), bounds=Bounds(NOW_MS, T0 * 1000 + 1)) is Why.BEYOND_RETENTION
    assert why(row(T0), bounds=Bounds(NOW_MS, T0 * 1000)) is Why.TAKEN


CELLS = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=9), st.binary(max_size=5)
)
MIXED = st.tuples(
    st.one_of(st.just(ESP), CELLS),
    st.one_of(st.just(4), CELLS),
    st.one_of(st.just("ph"), CELLS),
    CELLS,
    CELLS,
    st.one_of(st.integers(T0, T0 + 9), CELLS),
    CELLS,
)


@given(st.lists(MIXED, min_size=1, max_size=20))
def test_any_rows_whatever_are_counted_each_once_and_only_sound_ones_taken(cells):
    rows = [(at, *one) for at, one in enumerate(cells, 1)]
    names, tally = Names(100), Tally()
    found = judge(rows, names, BOUNDS)
    tally.add_refused(rows, found, names.names)
    good = found.why == Why.TAKEN
    numbers = np.array([one[0] for one in rows])[good]
    tally.add_judged(
        found.name[good], found.ts_ms[good], found.why[good], found.remarks[good], numbers, names.names
    )

    assert sum(tally.why.values()) == tally.rows == len(rows)
    assert sum(tally.units.values()) == len(rows)
    assert (np.isfinite(found.raw[good]) & ~np.isinf(found.value[good])).all()
    assert ((found.ts_ms[good] >= 1_577_836_800_000) & (found.ts_ms[good] <= NOW_MS + 300_000)).all()
    assert (found.rx_ms[good] <= NOW_MS).all()
    assert sum(one.taken for one in tally.series.values()) == tally.taken
    assert Tally.from_json(tally.to_json()) == tally


def test_every_reason_and_every_remark_is_explained():
    assert set(MEANING) == set(Why) - {Why.TAKEN}
    assert set(REMARKS) == set(Remark)


def test_an_example_names_the_row_and_what_is_wrong_with_it():
    rows = [(at, *row(esp_id="\x1bbad" * 30)) for at in range(1, 9)]
    names, tally = Names(10), Tally()
    tally.add_refused(rows, judge(rows, names, BOUNDS), names.names)

    told = tally.examples[Why.BAD_ESP_ID]
    assert len(told) == 3
    assert told[0].startswith(r"row 1: esp_id '\x1bbad")
    assert len(told[0]) < 80


def test_tallies_of_series_add_up():
    every = SeriesTally()
    for one in (SeriesTally(2, 1, 0, 5, 9), SeriesTally(0, 0, 3), SeriesTally(1, 0, 0, 2, 2)):
        every.join(one)

    assert every == SeriesTally(3, 1, 3, 2, 9)
