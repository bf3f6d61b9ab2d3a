"""A report that holds calls, and a state, answer like the logs that they were made of: a report of a report is it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.errors import LogError
from callcost.jobs.analysis.query import query_calls
from callcost.settings import GROUP_COLUMNS, ReportOptions
from tests.command import SAMPLES, Finished, callcost, report, write_lines
from tests.conftest import examples
from tests.laws.test_report_sums import assert_same_totals

FILES = ("spend.csv", "spend.parquet", "calls.parquet", "rejects.parquet")


@pytest.fixture(scope="session")
def held(sample_report: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of the samples with its calls, and a state of them, beside each other."""
    folder = tmp_path_factory.mktemp("held")
    report([SAMPLES], folder / "report", "--calls")
    report([SAMPLES], folder / "nightly", "--state", folder / "state")
    return folder


def test_a_report_of_a_report_is_the_report(held: Path, tmp_path: Path) -> None:
    first = Finished((), 0, "", "", held / "report")
    again = report([held / "report"], tmp_path / "again", "--calls")
    for name in FILES:
        assert (again.out / name).read_bytes() == (first.out / name).read_bytes(), name
    assert again.what == first.what
    assert report([again.out], tmp_path / "once more").what == report([SAMPLES], tmp_path / "plain").what


@pytest.mark.parametrize(
    "flags",
    [
        ("--by", "day,model", "--timezone", "Asia/Tokyo"),
        ("--by", "tag:env,user", "--since", "2025-01", "--until", "2025-07"),
        ("--where", "model=gpt*", "--by", "model_group,status"),
        ("--cost-source", "auto", "--by", "provider"),
    ],
)
def test_a_source_answers_as_the_logs_do(held: Path, tmp_path: Path, flags: tuple[str, ...]) -> None:
    plain = report([SAMPLES], tmp_path / "plain", *flags)
    for source in ("report", "state", "nightly"):
        asked = report([held / source], tmp_path / source, *flags)
        assert (asked.out / "spend.csv").read_bytes() == (plain.out / "spend.csv").read_bytes(), source
        assert asked.records == plain.records
        assert (asked.out / "rejects.parquet").read_bytes() == (plain.out / "rejects.parquet").read_bytes()


@pytest.mark.parametrize("by", GROUP_COLUMNS)
def test_a_report_can_be_grouped_by_whatever_logs_can_and_adds_up_to_the_same(
    held: Path, sample_report: Finished, tmp_path: Path, by: str
) -> None:
    plain = report([SAMPLES], tmp_path / "plain", "--by", by)
    asked = report([held / "report"], tmp_path / "asked", "--by", by)
    assert (asked.out / "spend.csv").read_bytes() == (plain.out / "spend.csv").read_bytes()
    assert_same_totals(plain, sample_report)


def test_what_a_report_cannot_give_is_refused_by_name(held: Path, tmp_path: Path) -> None:
    for flags, words in {
        ("--prices", "latest"): "are priced already",
        ("--corrections", "none"): "are priced already",
        ("--dialect", "pair"): "are read already",
        ("--work-dir", str(tmp_path / "work")): "",
    }.items():
        refused = callcost("report", held / "report", *flags)
        assert refused.code in {1, 2}
        assert words in refused.stderr
    folder = tmp_path / "old"
    report([SAMPLES], folder, "--calls")
    old = pl.read_parquet(folder / "calls.parquet").drop("model_group")
    old.write_parquet(folder / "calls.parquet")
    refused = callcost("report", folder, "--by", "model_group")
    assert (refused.code, "no column 'model_group'" in refused.stderr) == (2, True)
    assert callcost("report", folder, "--by", "model").code == 0
    old.head(3).write_parquet(folder / "calls.parquet")
    assert "calls.parquet is not of the run" in callcost("report", folder).stderr
    report([SAMPLES], tmp_path / "bare")
    refused = callcost("report", tmp_path / "bare")
    assert (refused.code, "holds no calls" in refused.stderr, "--calls" in refused.stderr) == (1, True, True)


def test_rejects_are_asked_of_every_source_alike(held: Path) -> None:
    sql = "SELECT reason, COUNT(*) AS records FROM rejects GROUP BY reason ORDER BY reason"
    answers = [query_calls(sql, ReportOptions(logs=held / source)).rows() for source in ("report", "state", "nightly")]
    assert answers == answers[:1] * 3
    assert len(answers[0]) > 1


def test_a_report_whose_rejects_are_gone_is_not_one_without_rejects(held: Path, tmp_path: Path) -> None:
    shutil.copytree(held / "report", tmp_path / "copy")
    (tmp_path / "copy/rejects.parquet").unlink()
    with pytest.raises(LogError, match=r"rejects\.parquet is not of the run"):
        query_calls("SELECT * FROM rejects", ReportOptions(logs=tmp_path / "copy"))


def test_a_state_can_be_priced_anew_and_stays_as_it_is(held: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in held.rglob("*") if path.is_file() and "lock" not in path.name}
    asked = report([held / "state"], tmp_path / "asked", "--prices", "latest")
    plain = report([SAMPLES], tmp_path / "plain", "--prices", "latest")
    assert (asked.out / "spend.csv").read_bytes() == (plain.out / "spend.csv").read_bytes()
    assert before == {path: path.stat().st_mtime_ns for path in before}


COUNTS = st.integers(0, 10**6)
CALLS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b", "c", "d", None]),
        "model": st.sampled_from(["gpt-4o", "claude-sonnet-4-5", "acme-9", "o3"]),
        "timestamp": st.sampled_from(["2025-03-01T08:00:00Z", "2025-03-02", "2025-03-02T23:30:00.5Z", None]),
        "user": st.sampled_from(["ana", None, "=1"]),
        "usage": st.fixed_dictionaries(
            {"prompt_tokens": COUNTS, "completion_tokens": COUNTS},
            optional={"prompt_tokens_details": st.fixed_dictionaries({"cached_tokens": COUNTS})},
        ),
    },
    optional={"cost": st.decimals(0, 5, places=4).map(str), "tags": st.just({"env": "prod"})},
)
RUNS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["message", "compaction", "advisor_message"]), "input_tokens": COUNTS,
         "output_tokens": COUNTS, "cache_read_input_tokens": COUNTS},
        optional={"model": st.sampled_from(["claude-opus-4-8", "claude-sonnet-5", "acme-9"])},
    ),
    min_size=2, max_size=3,
)  # fmt: skip


@examples(15, 200)
@given(
    rows=st.lists(CALLS, max_size=12), runs=st.lists(RUNS, max_size=3),
    by=st.sampled_from(["model", "day,user", "status,tag:env"]),
    flags=st.sampled_from([(), ("--since", "2025-03-02"), ("--where", "user=a*"), ("--cost-source", "logged")]),
    listed=st.booleans(),
)  # fmt: skip
def test_a_report_of_a_report_is_the_report_of_any_logs(
    rows: list[dict[str, Any]], runs: list[list[dict[str, Any]]], by: str, flags: tuple[str, ...], listed: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("sources")
    messages = [
        {"id": f"msg_{n}", "type": "message", "role": "assistant", "model": "claude-sonnet-5", "content": [],
         "usage": {"input_tokens": 1, "output_tokens": 1, "iterations": each}}
        for n, each in enumerate(runs)
    ]  # fmt: skip
    log = write_lines(folder / "a.jsonl", [*rows, *messages, b"{"])
    whole = callcost("report", log, "--out", folder / "held", "--calls")
    flags = (*flags, "--calls") if listed else flags  # else only the columns that are summed are read
    plain = callcost("report", log, "--by", by, *flags, "--out", folder / "plain")
    if whole.code == 1:
        return  # no call at all
    again = callcost("report", folder / "held", "--by", by, *flags, "--out", folder / "again")
    assert again.code == plain.code
    for name in FILES if listed else set(FILES) - {"calls.parquet"}:
        assert (folder / "again" / name).read_bytes() == (folder / "plain" / name).read_bytes(), name
    records = [json.loads((folder / name / "manifest.json").read_text())["records"] for name in ("again", "plain")]
    assert records[0] == records[1]
