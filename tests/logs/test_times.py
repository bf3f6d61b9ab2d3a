"""Time stamps in every spelling come to the same microsecond; what cannot be read is None, never an error."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from callcost.logs.values.times import FIRST_EPOCH, LATEST, read_time

MOMENT = 1_737_710_446_000_000  # 2025-01-24 09:20:46 UTC
SAME = [
    "2025-01-24T09:20:46Z", "2025-01-24 09:20:46", "2025-01-24T10:20:46+01:00", "2025-01-24T10:20:46+0100",
    "2025-01-24 09:20:46.000000", "2025-01-24T09:20:46.000000000Z", "2025-01-24 09:20:46 UTC", "20250124T092046Z",
    "2025-01-24 04:20:46 -0500 EST", "  2025-01-24T09:20:46Z ", "2025-01-24 09:20:46.000+00",
    "Fri, 24 Jan 2025 09:20:46 GMT", "Fri, 24 Jan 2025 10:20:46 +0100", "24 Jan 2025 09:20:46 +0000",
    "Jan 24, 2025 9:20:46 AM", "Jan 24 2025  9:20:46AM", "January 24, 2025 at 9:20:46\u202fa.m. UTC",
    "2025-01-24 09:20:46 am", "2025-01-24T09:20:46,0 a. m.", "2025/01/24 4:20:46 AM EST", "Jan 24, 2025, 9:20:46 A.M.",
    "Friday, January 24, 2025 11:50:46 PM +1430", "Fri Jan 24 2025 10:20:46 GMT+0100 (Central European Standard Time)",
    "Fri Jan 24 09:20:46 2025", "Fri Jan 24 09:20:46 UTC 2025", "24/Jan/2025:09:20:46 +0000",
    "Friday, 24-Jan-25 09:20:46 GMT", "2025-01-24T10:20:46+01:00[Europe/Berlin]", "2025-W04-5T09:20:46",
    "20250124092046", 20250124092046, "2025-01-24 09:20:46 -0000",
    1_737_710_446, 1_737_710_446.0, 1_737_710_446_000, 1_737_710_446_000_000, 1_737_710_446_000_000_000,
    "1737710446", "1737710446.0", "1737710446000", Decimal("1737710446.000000"),
    datetime(2025, 1, 24, 9, 20, 46, tzinfo=UTC), datetime(2025, 1, 24, 9, 20, 46),  # noqa: DTZ001 - a naive time
    datetime(2025, 1, 24, 4, 20, 46, tzinfo=timezone(timedelta(hours=-5))),
]  # fmt: skip


@pytest.mark.parametrize("value", SAME, ids=repr)
def test_every_spelling_is_the_same_moment(value: object) -> None:
    assert read_time(value) == MOMENT


@pytest.mark.parametrize(
    "value",
    [
        None, "", "yesterday", "12:30", "2025-13-01", "0000-00-00 00:00:00", 0, -1, "0", True, float("nan"),
        float("inf"), 10**400, "9" * 60, [], {}, b"2025", "2025-01-24T25:00:00Z", "Fri, 99 Foo 2025", "NaN", "1e9",
        "Mon, 10 Mar 2025 01:25:53 +99999999999999", float("-inf"),
        Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"),
        "9999-12-31T23:59:59-05:00", "9999-12-31T24:00:00", "0001-01-01T00:00:00+05:00", "10000-01-01T00:00:00Z",
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5))), date(9999, 12, 31), "+010000-01-01T00:00:00Z",
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))), -(10**15), 10**20, "-5",
        "2025-01-24 15:04 AM", "2025-01-24 0:30 PM", "2025-01-24 13 AM", "2025-01-24 3", "2025-01-24 03:04 PM PM",
        "2025-01-24 03:04 +0200 PM", "2025-01-24 03:04 XM", "2025-01-24 03:04 PMEST", "24 Jan 2025 09:20:46 CEST",
        "Mon, 24 Jan 2025 09:20:46 GMT", "11/10/2026 3:04 PM", "2025-01-24x09:20:46", "2025-01-24509:20:46",
        "2025-01-24 09:20:61", "2025-01-24 09:20:60", "2025-01-24 24:00:01", "2025-01-24 09:20:46+053",
        "2025-01-24T09:20:46 and more",
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_time_is_none(value: object) -> None:
    assert read_time(value) is None


@given(
    st.decimals(0, FIRST_EPOCH - 1, places=3) | st.integers(0, FIRST_EPOCH - 1)
    | st.sampled_from([5, 12, 2026, 202611, 2026314, Decimal("1.5"), Decimal("45987.5"), FIRST_EPOCH - 1])
)  # fmt: skip
def test_a_number_is_an_epoch_from_1973_on_as_a_number_and_as_text(number: Decimal | int) -> None:
    """What is smaller is a year, a month, a day of Excel, a part of a clock; eight digits may be a date."""
    short: tuple[int | float | Decimal | str, ...] = (number, float(number), str(number), f" {number}")
    if not 19_000_000 <= number < 21_000_000:
        assert {read_time(each) for each in short} == {None}
    later = number + FIRST_EPOCH
    micros = int(later * 1_000_000)
    for scale in (1, 1_000, 1_000_000, 1_000_000_000):
        scaled = later * scale
        if not any(19 * 10**digits <= scaled < 21 * 10**digits for digits in (6, 10, 12)):
            assert (
                read_time(scaled) == read_time(f"{scaled:f}" if scaled != int(scaled) else str(int(scaled))) == micros
            )


@pytest.mark.parametrize("number", [20250124, 20250124.0, Decimal("20250124.0"), "20250124.0"])
def test_compact_dates_are_read_whatever_kind_of_number_they_are(number: object) -> None:
    assert read_time(number) == read_time("2025-01-24")


@pytest.mark.parametrize("number", [202501240920, 202501240920.0, "202501240920", 20250124092000.0, "20250124092000.0"])
def test_compact_times_are_read_whatever_kind_of_number_they_are(number: object) -> None:
    zone = ZoneInfo("Europe/Berlin")
    assert read_time(number) == read_time("2025-01-24T09:20")
    assert read_time(number, zone) == read_time("2025-01-24T09:20", zone)


@pytest.mark.parametrize("number", [20251324, 20250124.5, 202513240920, 20250124092046.5, "20250124092046.5"])
def test_a_number_like_a_date_that_is_none_is_no_time(number: object) -> None:
    assert read_time(number) is None


def test_a_naive_time_is_in_the_zone_given() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert read_time("2025-01-24 10:20:46", berlin) == MOMENT
    assert read_time("2025-07-24 11:20:46", berlin) == read_time("2025-07-24T09:20:46Z")
    assert read_time("2025-01-24T09:20:46Z", berlin) == MOMENT


def test_fractions_keep_their_microseconds() -> None:
    assert read_time("2025-01-24 09:20:46.847371") == MOMENT + 847_371
    assert read_time("2025-01-24T09:20:46.847371999Z") == MOMENT + 847_371
    assert read_time(1_795_338_676.872624) == 1_795_338_676_872_624


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2025-01-24 12:00 AM", "2025-01-24T00:00"), ("2025-01-24 12:30 pm", "2025-01-24T12:30"),
        ("2025-01-24 00:30 AM", "2025-01-24T00:30"), ("2025-01-24 15:04 PM", "2025-01-24T15:04"),
        ("Nov 10, 2026 3:04 PM", "2026-11-10T15:04"), ("Nov 10, 2026 3 PM", "2026-11-10T15:00"),
        ("2025-01-24T24:00:00", "2025-01-25T00:00"), ("2016-12-31T23:59:60Z", "2017-01-01T00:00"),
        ("2017-01-01 00:59:60.25 +0100", "2017-01-01T00:00:00.250"), ("1 Jan 70 00:00:01", "1970-01-01T00:00:01"),
    ],
)  # fmt: skip
def test_clocks_of_twelve_hours_midnights_and_leap_seconds_are_read(text: str, same: str) -> None:
    assert read_time(text) == read_time(same) is not None


def test_a_date_of_the_united_states_is_one_where_it_is_said_to_be() -> None:
    assert read_time("11/10/2026 3:04:05 PM", us_dates=True) == read_time("2026-11-10T15:04:05")
    assert read_time("11/10/26", us_dates=True) == read_time("2026-11-10", us_dates=True) == read_time("2026-11-10")


def test_the_last_time_is_that_before_the_last_day_of_year_9999() -> None:
    assert read_time("9999-12-30T23:59:59.999999Z") == LATEST - 1
    assert read_time("9999-12-31T00:00:00Z") is None
    assert read_time("9999-12-31T05:00:00+06:00") == LATEST - 3_600_000_000


def test_a_bare_date_is_its_midnight() -> None:
    assert read_time("2025-01-24") == read_time(date(2025, 1, 24)) == read_time("20250124")


@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(5000, 1, 1)))  # noqa: DTZ001
def test_iso_and_epoch_agree(naive: datetime) -> None:
    micros = read_time(naive.isoformat())
    assert micros == read_time(naive.isoformat(sep=" ") + "Z")
    assert micros is not None
    if micros >= 10**14:
        assert read_time(micros) == micros


MOMENTS = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(9999, 12, 29))  # noqa: DTZ001
DATES = ("%Y-%m-%d", "%Y/%m/%d", "%d %b %Y", "%a, %d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%A, %B %d, %Y", "%d %B %Y")
SEPARATORS = (" ", ", ", " at ", "T", "  ")
HALVES = (" AM", "AM", " am", " a.m.", " A. M.", "\u202fAM", "a.m")


@st.composite
def spellings(draw: st.DrawFn) -> tuple[datetime, str]:
    """Make a time in UTC and a way of writing it."""
    moment = draw(MOMENTS)
    digits = draw(st.integers(0, 6))
    moment = moment.replace(microsecond=moment.microsecond // 10 ** (6 - digits) * 10 ** (6 - digits))
    minutes = draw(st.none() | st.integers(-14 * 60, 14 * 60))
    local = moment + timedelta(minutes=minutes or 0)
    clock = f"%M:%S{draw(st.sampled_from('.,'))}{local.microsecond:06}"[: 6 + digits] if digits else "%M:%S"
    half = draw(st.sampled_from(HALVES))
    if draw(st.booleans()):
        hour = f"{(local.hour + 11) % 12 + 1:{draw(st.sampled_from(['', '02']))}}"
        clock = f"{hour}:{clock}{half.replace('A', 'P').replace('a', 'p') if local.hour >= 12 else half}"
    else:
        clock = f"%H:{clock}"
    text = local.strftime(f"{draw(st.sampled_from(DATES))}{draw(st.sampled_from(SEPARATORS))}{clock}")
    if minutes is None:
        return moment, text + draw(st.sampled_from(["", " Z", " UTC", " GMT"]))
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    offset = f"{sign}{hours:02}{draw(st.sampled_from([':', '']))}{rest:02}"
    return moment, text + draw(
        st.sampled_from([f" {offset}", f" GMT{offset}", f" {offset} (Somewhere)", f" {offset} CET"])
    )


@given(spellings())
@example((datetime(2000, 1, 1), "2000-01-01 12:00:00.000000 AM Z"))  # noqa: DTZ001 - fromisoformat skips the AM
def test_the_time_that_is_read_is_the_one_that_was_written(spelling: tuple[datetime, str]) -> None:
    moment, text = spelling
    assert read_time(text) == (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001


# Digits go on with a clock, an offset, a zone or half a day say when it was meant.
GOES_ON = re.compile(r"\s*([\d.,:+-]|[ap]\.?\s?m|z|utc?|gmt|[ecmp][sd]t)", re.IGNORECASE)


@given(
    spellings(), st.text(min_size=1) | st.sampled_from(["x", " and more", "!", " Uhr", "PMx", " XM", ")", "\0", "[PM]"])
)
def test_more_text_after_a_time_never_makes_it_another(spelling: tuple[datetime, str], more: str) -> None:
    moment, text = spelling
    assume(not GOES_ON.match(more))
    written = (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001
    assert read_time(text + more) in (None, written)
    assert read_time(more + text) in (None, written)


@given(
    st.text() | st.floats() | st.integers() | st.binary() | st.decimals() | st.dates() | st.datetimes()
    | st.datetimes(timezones=st.timezones()) | st.from_regex(r"[0-9]{1,5}[-/ ][A-Za-z0-9:/ .,+-]{1,40}")
)  # fmt: skip
def test_nothing_raises(value: object) -> None:
    moment = read_time(value)
    assert moment is None or moment > 0
