"""What may be given for an option, and what is kept of it: the same for programs and for the command line."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost import ConfigError, LogError, ReconcileOptions, ReportOptions, report_spend, settings
from callcost.arguments import nearest, read_moment
from tests.command import SAMPLES, callcost

KINDS: dict[str, Any] = {
    kind.__name__: kind for kind in vars(settings).values() if hasattr(kind, "__dataclass_fields__")
}
REQUIRED: dict[str, dict[str, Any]] = {
    "ReportOptions": {"logs": "a"}, "ReconcileOptions": {"logs": "a"}, "StateOptions": {"folder": "a"},
    "Budget": {"amount": 1},
}  # fmt: skip
FIELDS = [(kind, field.name) for kind, made in KINDS.items() for field in dataclasses.fields(made)]
MOMENTS = {"since", "until", "as_of"}


def _made(kind: str, **given: Any) -> Any:
    return KINDS[kind](**{**REQUIRED.get(kind, {}), **given})


def test_every_field_of_every_options_class_is_read() -> None:
    assert len(KINDS) == 9
    for made in KINDS.values():
        assert len(made.__slots__) == len(dataclasses.fields(made)) > 0
        assert all(callable(field.metadata["reader"]) for field in dataclasses.fields(made))


@pytest.mark.parametrize(("kind", "name"), FIELDS)
@pytest.mark.parametrize("wrong", [object(), {"a": 1}, b"a", 1.5j], ids=["object", "mapping", "bytes", "complex"])
def test_a_wrong_type_is_refused_by_the_name_of_its_argument(kind: str, name: str, wrong: object) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: "):
        _made(kind, **{name: wrong})


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_text_that_is_no_text_is_refused_but_for_the_names_of_logs(kind: str, name: str) -> None:
    if name in {"logs", "bills", "forget"}:
        assert getattr(_made(kind, **{name: "a\udcff"}), name) == ("a\udcff",)
        return
    with pytest.raises(ConfigError, match=f"^{name}: "):
        _made(kind, **{name: "a\udcff"})


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_a_nul_is_refused(kind: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: "):
        _made(kind, **{name: "a\0b"})


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_is_read_to_the_same(kind: str) -> None:
    made = _made(kind)
    assert dataclasses.replace(made) == made == pickle.loads(pickle.dumps(made))
    assert hash(made) == hash(dataclasses.replace(made))


@pytest.mark.parametrize(
    "logs", ["a", Path("a"), ["a"], (Path("a"),), iter(["a"])], ids=["str", "Path", "list", "tuple", "iterator"]
)
def test_logs_and_bills_are_one_place_or_several(logs: Any) -> None:
    options = ReconcileOptions(logs=logs, bills=Path("b"))
    assert (options.logs, options.bills) == (("a",), ("b",))


@pytest.mark.parametrize("place", ["a\ud800", "s3://bucket/a\udcff"])
def test_what_is_no_name_of_a_file_or_an_object_is_refused(place: str) -> None:
    with pytest.raises(ConfigError, match=r"^logs: "):
        ReportOptions(logs=place)


@pytest.mark.parametrize("logs", ["", " ", ["logs", ""]])
def test_an_empty_path_is_none(logs: Any) -> None:
    with pytest.raises(ConfigError, match=r"^logs: an empty path"):
        ReportOptions(logs=logs)
    with pytest.raises(ConfigError, match=r"^out: an empty path"):
        ReportOptions(logs="logs", out="")


def test_no_logs_at_all_is_an_error() -> None:
    with pytest.raises(LogError, match="no logs are named"):
        report_spend(ReportOptions(logs=[]))


def test_what_has_no_order_is_no_list_of_logs() -> None:
    with pytest.raises(ConfigError, match=r"^logs: \{'a'\} is set"):
        ReportOptions(logs={"a"})


def test_a_home_is_expanded_in_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    home = "/home/someone/x"
    report = ReportOptions(logs="~/x", out="~/x")
    bills = ReconcileOptions(logs=["~/x", "s3://~/x", "-"], bills="~/x", fx="~/x")
    assert (report.logs, report.out, bills.logs, bills.bills, bills.fx) == (
        (home,), home, (home, "s3://~/x", "-"), (home,), home,
    )  # fmt: skip
    assert settings.WorkOptions(work_dir="~/x").work_dir == settings.StateOptions(folder="~/x").folder == home
    assert settings.PriceOptions(override="~/x").override == settings.ReadOptions(mapping="~/x").mapping == home


@pytest.mark.parametrize("by", ["model, day", ["model", "day"], ("model", "day")])
def test_columns_are_one_text_or_several(by: Any) -> None:
    assert ReportOptions(logs="a", by=by, formats="json").by == ("model", "day")


@pytest.mark.parametrize("where", ["user=a=b", ["user=a=b"], [("user", "a=b")]])
def test_filters_are_text_or_pairs(where: Any) -> None:
    assert ReportOptions(logs="a", where=where).where == (("user", "a=b"),)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"by": "modle"}, "by: no column 'modle'; did you mean 'model'?"),
        ({"by": "Model"}, "by: no column 'Model'; did you mean 'model'?"),
        ({"by": "model,model"}, "by names no column, or one twice"),
        ({"where": "usr=a"}, "where: no column 'usr'; did you mean 'user'?"),
        ({"where": "user"}, "where: 'user' is not COLUMN=VALUE"),
        ({"formats": "cvs"}, "formats: no 'cvs'; did you mean 'csv'?"),
        ({"formats": "xml"}, "formats: no 'xml'. One of parquet, csv, json"),
        ({"cost_source": "Logged"}, "cost_source: no 'Logged'; did you mean 'logged'?"),
        ({"table": "detla"}, "table: no 'detla'; did you mean 'delta'?"),
        ({"timezone": "europe/berlin"}, "timezone: no time zone 'europe/berlin'; did you mean 'Europe/Berlin'?"),
        ({"since": "soon"}, "since: 'soon' is not a time. Write 2026-11-20"),
        ({"until": "2026-13"}, "until: '2026-13' is not a time"),
        ({"until": "999999d"}, "until: '999999d' is not a time"),
        ({"logs": "https://a.example/b"}, "logs: callcost reads and writes no https URLs, such as https://a.example/b"),
        ({"out": "ftp://a/b"}, "out: callcost reads and writes no ftp URLs"),
        ({"max_unpriced": 101.0}, "max_unpriced: 101.0 is not a number from 0 to 100"),
    ],
)
def test_programs_and_the_command_refuse_the_same_with_the_same_sentence(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ReportOptions(**{"logs": "a", "out": "b", **given})
    assert message in str(caught.value)

    words = {"logs": "a", "out": "b", **given}
    flags = [
        (f"--{name.replace('_', '-').replace('formats', 'format')}", word)
        for name, word in words.items()
        if name != "logs"
    ]
    finished = callcost("report", words["logs"], *[str(word) for pair in flags for word in pair])
    assert (finished.code, finished.stderr) == (2, f"callcost: {caught.value}\n")


def test_numbers_are_finite_and_switches_are_no_numbers() -> None:
    for name, wrong in [("max_unpriced", float("nan")), ("max_rejected", True), ("strict", 1), ("calls", "yes")]:
        with pytest.raises(ConfigError, match=f"^{name}: "):
            ReportOptions(logs="a", **{name: wrong})  # type: ignore[arg-type]
    for workers in (0, True, 1.0, "2"):
        with pytest.raises(ConfigError, match=r"^workers: "):
            settings.WorkOptions(workers=workers)  # type: ignore[arg-type]


# --- Times ------------------------------------------------------------------------------------------------------------

ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata", "Pacific/Auckland"])
DAYS = st.dates(date(1990, 1, 1), date(2090, 12, 31))


@given(DAYS, st.times(), ZONES)
def test_a_time_is_the_same_as_text_and_as_an_object(day: date, moment: Any, zone: str) -> None:
    naive = datetime.combine(day, moment)
    found = read_moment(naive, "since", zone)
    assert found == naive.replace(tzinfo=ZoneInfo(zone))
    assert found.tzinfo is UTC
    assert read_moment(naive.isoformat(), "since", zone) == read_moment(found, "since", "UTC") == found
    assert read_moment(day, "since", zone) == read_moment(day.isoformat(), "since", zone)
    far = naive.replace(tzinfo=timezone(timedelta(hours=5)))
    assert read_moment(far, "since", zone) == read_moment(far.isoformat(), "since", zone) == far


@given(DAYS, ZONES)
def test_a_month_is_its_first_moment(day: date, zone: str) -> None:
    assert read_moment(f"{day:%Y-%m}", "since", zone) == read_moment(day.replace(day=1), "since", zone)


WORDS: dict[str, Callable[[date], date]] = {
    "today": lambda today: today,
    "0d": lambda today: today,
    "yesterday": lambda today: today - timedelta(days=1),
    "1d": lambda today: today - timedelta(days=1),
    "tomorrow": lambda today: today + timedelta(days=1),
    "7d": lambda today: today - timedelta(days=7),
    "400d": lambda today: today - timedelta(days=400),
    "this-month": lambda today: today.replace(day=1),
    "last-month": lambda today: (
        today.replace(year=today.year - 1, month=12, day=1)
        if today.month == 1
        else today.replace(month=today.month - 1, day=1)
    ),
}


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Niue"])
@pytest.mark.parametrize("now", ["2026-01-01T00:30+00:00", "2026-03-31T23:59+00:00", "2024-02-29T12:00+00:00"])
def test_a_word_is_a_day_of_the_time_zone(word: str, zone: str, now: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.fromisoformat(now).astimezone(tz)

    monkeypatch.setattr("callcost.arguments.datetime", Clock)
    today = datetime.fromisoformat(now).astimezone(ZoneInfo(zone)).date()
    wanted = datetime.combine(WORDS[word](today), datetime.min.time(), ZoneInfo(zone))
    assert read_moment(word, "since", zone) == wanted


@pytest.mark.parametrize("word", WORDS)
def test_a_word_counts_from_as_of_where_that_is_given(word: str) -> None:
    zone, moment = "Europe/Berlin", datetime.fromisoformat("2025-12-31T23:30+00:00")
    wanted = datetime.combine(WORDS[word](date(2026, 1, 1)), datetime.min.time(), ZoneInfo(zone))
    options = ReportOptions(logs="a", timezone=zone, as_of=moment.isoformat(), since=word)
    assert options.since == dataclasses.replace(options, timezone="UTC").since == wanted  # it is settled once
    assert ReportOptions(logs="a", timezone=zone, as_of=moment, until=word).until == wanted
    assert ReconcileOptions(logs="a", as_of="2026-01-01", since=word).since == datetime.combine(
        WORDS[word](date(2026, 1, 1)), datetime.min.time(), UTC
    )


def test_a_word_is_written_into_the_manifest_as_the_moment_that_it_was(tmp_path: Path) -> None:
    log = tmp_path / "a.jsonl"
    log.write_text('{"model":"gpt-4o","prompt_tokens":9,"completion_tokens":1,"timestamp":"2026-10-31T22:30:00Z"}\n')
    words = ("report", log, "--out", tmp_path / "out", "--since", "2026-10", "--until", "2026-11")
    berlin = callcost(*words, "--timezone", "Europe/Berlin", out=tmp_path / "out")
    options = berlin.manifest["options"]
    assert (options["since"], options["until"]) == ("2026-09-30T22:00:00+00:00", "2026-10-31T23:00:00+00:00")
    assert berlin.records["calls"] == 1
    state = callcost(*words, "--state", tmp_path / "state", out=tmp_path / "out")
    assert (state.code, state.manifest["options"]["since"]) == (0, "2026-10-01T00:00:00+00:00")


@given(st.text(max_size=12), st.lists(st.text(min_size=1, max_size=8), min_size=1))
def test_the_nearest_word_is_one_that_is_known(word: str, known: list[str]) -> None:
    found = nearest(word, known)
    assert found is None or found in known
    assert nearest(known[0].upper(), [known[0]]) in {known[0], None}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["reprot"], "no command 'reprot'; did you mean 'report'?"),
        (["Report"], "no command 'Report'; did you mean 'report'?"),
        (["prices", "lst"], "no command 'lst'; did you mean 'list'?"),
        (["tokens", "cuont"], "no command 'cuont'; did you mean 'count'?"),
        (["zzzz"], "One of report, agents, query, compare, what-if, inspect"),
        (["prices", "list", "--format", "JSON"], "format: no 'JSON'; did you mean 'json'?"),
        (["report", "a", "--out", "b", "--log-format", "jsn"], "log_format: no 'jsn'; did you mean 'json'?"),
        (["inspect", str(SAMPLES), "--dialect", "litelm_spend"], "'litelm_spend'; did you mean 'litellm_spend'?"),
        (["report", str(SAMPLES), "--out", "b", "--prices", "latset"], "'latset'; did you mean 'latest'?"),
        (["prices", "show", "mo\udcff"], "model: 'mo\\udcff' is not UTF-8"),
        (["explain", "a", "--call", "x\udcff"], "call: 'x\\udcff' is not UTF-8"),
        (["tokens", "count", "x\udcff"], "text: 'x\\udcff' is not UTF-8"),
    ],
)
def test_a_mistyped_word_gets_the_nearest(words: list[str], message: str) -> None:
    finished = callcost(*words)
    assert finished.code == 2
    assert message in finished.stderr
