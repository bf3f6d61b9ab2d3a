"""Several reports at once are one source: what one run over all of their logs finds, or a refusal that says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.errors import ConfigError
from callcost.helpers.registry import register_model
from callcost.jobs.analysis.compare import compare_spend
from callcost.jobs.analysis.query import query_calls
from callcost.jobs.analysis.what_if import what_if
from callcost.jobs.explain import explain_call
from callcost.jobs.report import report_spend
from callcost.prices.book import registered
from callcost.settings import FingerprintKey, ReadOptions, ReportOptions
from tests.command import SAMPLES, callcost, report, write_lines
from tests.conftest import examples

COUNTS = st.sampled_from([0, 7, 300_000])
TIMES = st.sampled_from(["2025-03-01T08:00:00Z", "2025-03-02T23:30:00.5Z", None])
PLAIN = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b", "c", None, None]), "model": st.sampled_from(["gpt-4o", "claude-opus-4-8", "x"]),
     "timestamp": TIMES, "usage": st.fixed_dictionaries({"prompt_tokens": COUNTS, "completion_tokens": COUNTS})},
    optional={"cost": st.just("0.25"), "user": st.just("ana"), "tags": st.just({"env": "prod"}),
              "messages": st.sampled_from([[{"role": "user", "content": text}] for text in "xy"])},
)  # fmt: skip
TRACED = st.fixed_dictionaries(  # its key is no call_id
    {"id": st.sampled_from("op"), "traceId": st.sampled_from("tu"), "type": st.just("GENERATION"), "startTime": TIMES,
     "model": st.just("gpt-4o"), "usageDetails": st.fixed_dictionaries({"input": COUNTS, "output": COUNTS})},
)  # fmt: skip
ROWS = st.lists(PLAIN | TRACED, min_size=1, max_size=6)


def told(folder: Path) -> tuple[Any, ...]:
    manifest = json.loads((folder / "manifest.json").read_text())
    names = ("records", "inputs", "repeated_rows", "totals", "first_at", "last_at", "price_status", "flags")
    calls = pl.read_parquet(folder / "calls.parquet").with_columns(pl.col("tags").to_physical())
    return (
        (folder / "spend.csv").read_text(), (folder / "rejects.parquet").read_bytes(),
        calls.sort("call_id", "source_file", "source_row").rows(), *(manifest[name] for name in names),
    )  # fmt: skip


def write_report(logs: Path | list[Path], out: Path, **more: Any) -> Path:
    report_spend(ReportOptions(logs=logs, out=out, calls=True, by=("day", "model", "source_file"), **more))
    return out


def _name(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["id"], row.get("traceId")


@examples(5, 60)
@given(first=ROWS, second=ROWS, shared=ROWS, parted=st.booleans(), hidden=st.booleans())
def test_reports_of_two_logs_are_one_run_over_both(
    first: list[Any], second: list[Any], shared: list[Any], parted: bool, hidden: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("joined")
    key = FingerprintKey("0123456789abcdef") if hidden else None
    rows = {"a.jsonl": [*first, *shared], "b.jsonl": [*shared, *second] if not parted else second}
    logs = [write_lines(folder / name, [*each, b"{"]) for name, each in rows.items()]
    parts = [write_report(log, folder / log.stem, pseudonyms=key) for log in logs]
    once = write_report(logs, folder / "once", pseudonyms=key)
    try:
        joined = write_report(parts, folder / "joined")
    except ConfigError as error:
        if "does not go together" not in error.message:
            raise
        found = [{_name(row) for row in each if row["id"]} for each in rows.values()]
        doubtful = [row for each in rows.values() for row in each if _name(row) in found[0] & found[1]]
        assert any(not row.get("timestamp", row.get("startTime")) for row in doubtful) or any(
            one != other for one in doubtful for other in doubtful if _name(one) == _name(other)
        )
    else:
        assert told(joined) == told(once)


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reports of two parts of the samples, of two machines, a state of one, and one run over both."""
    folder = tmp_path_factory.mktemp("halves")
    for name in ("openai", "anthropic"):
        write_report(SAMPLES / name, folder / name, read=ReadOptions(host=name))
    report([SAMPLES / "openai"], folder / "nightly", "--state", folder / "state", "--host", "openai")
    write_report([SAMPLES / "openai", SAMPLES / "anthropic"], folder / "once")
    return folder


def test_machines_that_report_apart_are_one_run_and_keep_their_names(halves: Path, tmp_path: Path) -> None:
    joined = write_report([halves / "openai", halves / "anthropic"], tmp_path / "joined")
    (*head, calls), (*head_of_once, calls_of_once) = (
        (*both[:2], *both[3:], pl.DataFrame(both[2], orient="row", infer_schema_length=None))
        for both in (told(joined), told(halves / "once"))
    )
    assert head == head_of_once
    host = pl.read_parquet(joined / "calls.parquet").columns.index("host")
    assert calls.drop(f"column_{host}").equals(calls_of_once.drop(f"column_{host}"))
    hosts = report_spend(ReportOptions(logs=(halves / "openai", halves / "anthropic"), by="host")).spend
    own = [report_spend(ReportOptions(logs=halves / name, by="host")).spend for name in ("openai", "anthropic")]
    assert hosts.sort("host").equals(pl.concat(own).sort("host"))
    assert json.loads((joined / "manifest.json").read_text())["options"]["read"]["host"] is None


def test_every_question_is_answered_of_several(halves: Path) -> None:
    several, once = ReportOptions(logs=(halves / "openai", halves / "anthropic")), ReportOptions(logs=halves / "once")
    sql = "SELECT model, COUNT(*) AS n, SUM(total_cost) AS cost FROM calls GROUP BY model ORDER BY model"
    assert query_calls(sql, several).equals(query_calls(sql, once))
    moved = [what_if(each, models={"gpt-4o": "gpt-4o-mini"}).groups for each in (several, once)]
    assert moved[0].equals(moved[1])
    assert not any(compare_spend(several, once).groups["difference_cost"])
    mixed = ReportOptions(logs=(halves / "state", halves / "anthropic"))
    assert query_calls(sql, mixed).equals(query_calls(sql, once))


def test_the_same_log_in_two_reports_counts_once(halves: Path, tmp_path: Path) -> None:
    again = write_report(SAMPLES / "openai", tmp_path / "again")
    both, one = (report_spend(ReportOptions(logs=logs)) for logs in ((halves / "openai", again), again))
    assert both.spend.drop("duplicate_cost").equals(one.spend.drop("duplicate_cost"))
    assert both.manifest["records"]["duplicates"] >= one.manifest["records"]["calls"]


def test_what_does_not_go_together_is_refused_by_name(halves: Path, tmp_path: Path) -> None:
    latest = tmp_path / "latest"
    report([SAMPLES / "openai"], latest, "--calls", "--prices", "latest")
    old = tmp_path / "old"
    report([SAMPLES / "openai"], old, "--calls")
    pl.read_parquet(old / "calls.parquet").drop("copy_key").write_parquet(old / "calls.parquet")
    for places, code, words in (
        ((halves / "openai", latest), 2, "made with other options: prices"),
        ((halves / "openai", old), 2, f"nothing tells which calls of {old} are copies"),
        ((SAMPLES / "openai", halves / "openai"), 1, "holds no logs, only a report"),
    ):
        refused = callcost("report", *places)
        assert (refused.code, words in refused.stderr) == (code, True), refused.stderr


@pytest.mark.parametrize("place", ["openai", "state", "openai once"])
def test_a_call_is_explained_wherever_it_is_held(halves: Path, place: str) -> None:
    logs = tuple(halves / name for name in place.split())
    calls = pl.read_parquet(halves / "openai/calls.parquet")
    name = calls.filter(pl.col("model") == "o3")["call_id"].sort()[0]
    (plain,) = explain_call(ReportOptions(logs=SAMPLES / "openai"), name)
    (held,) = explain_call(ReportOptions(logs=logs), name)
    assert (bool(plain.found), held.found, held.lines) == (True, {}, plain.lines)
    unlike = {"host", "source_file"}
    assert {**held.call, **dict.fromkeys(unlike)} == {**plain.call, **dict.fromkeys(unlike)}
    for flags in (("--where", "model=gpt*"), ("--since", "2026-01"), ("--until", "2024-01")):
        missing = callcost("explain", *logs, "--call", name, *flags)
        assert (missing.code, f"no call {name!r}" in missing.stderr) == (1, True)


def test_a_registered_model_is_no_reason_to_refuse_a_report(halves: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registered, "_entries", {})
    monkeypatch.setattr(registered, "_options", {})
    options = ReportOptions(logs=halves / "once")
    before = report_spend(options).spend
    register_model({"gpt-4o": {"input_cost_per_token": 1.0, "output_cost_per_token": 1.0}})
    assert report_spend(options).spend.equals(before)
    assert what_if(options, batch="o3").groups["old_cost"].sum() == before["total_cost"].sum()
