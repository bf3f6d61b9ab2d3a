"""What callcost wrote below its logs is not read again: not once, not in ten runs, not by another command."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.logs.io.folders import FileVersion, Folder
from callcost.logs.io.inputs import find_logs
from callcost.stages.report.publish import publish_file
from tests.command import Finished, callcost, report, write_lines
from tests.conftest import LONG

SAME = ("spend.csv", "spend.parquet", "calls.parquet", "rejects.parquet")
REPORT = ("--calls", "--format", "parquet,csv,json")
RUNS = 10


def _call(chance: random.Random, number: int) -> dict[str, Any]:
    usage = {"prompt_tokens": chance.randint(1, 90_000), "completion_tokens": chance.randint(1, 9_000)}
    said = {"messages": [{"role": "user", "content": "How many? " * chance.randint(1, 9)}], "response": "Two."}
    day = f"2025-0{chance.randint(1, 9)}-11"
    row = {"id": f"c-{number}", "model": chance.choice(["gpt-4o", "o3"]), "timestamp": day}
    return row | (said if chance.random() < 0.3 else {"usage": usage})


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with logs in it, and nothing else yet."""
    chance = random.Random(5)
    for number, name in enumerate(("a.jsonl", "deep/b.jsonl", "manifest.json", "deep/run.json", "c/entry.json")):
        write_lines(tmp_path / "tree" / name, [_call(chance, 100 * number + row) for row in range(12)])
    write_lines(tmp_path / "tree/broken.jsonl", [b'{"cut": ', b"[]"])
    return tmp_path / "tree"


def assert_same_report(one: Finished, other: Finished) -> None:
    """Check that two reports are the same, to the byte, and read the same inputs."""
    for name in SAME:
        assert (one.out / name).read_bytes() == (other.out / name).read_bytes(), name
    assert one.what == other.what


Doing = Callable[[Path], object]


def _report_into(*flags: str) -> Doing:
    return lambda tree: report([tree], tree / "reports", *flags)


DOINGS: dict[str, Doing] = {
    "report": _report_into(),
    "calls": _report_into(*REPORT),
    "json": _report_into("--format", "json"),
    "delta": _report_into("--table", "delta"),
    "state": lambda tree: report([tree], tree / "nightly", "--state", tree / "state"),
    "state and delta": lambda tree: report([tree], tree / "night", "--state", tree / "stated", "--table", "delta"),
    "work dir": lambda tree: report([tree], tree / "kept", "--work-dir", tree / "work"),
    "backfill": lambda tree: callcost("backfill", tree, "--out", tree / "filled"),
    "backfill of a part": lambda tree: callcost("backfill", tree / "deep", "--out", tree / "old/filled"),
    "reconcile": lambda tree: callcost("reconcile", tree, "--out", tree / "old/gap"),
}


@pytest.mark.parametrize("name", DOINGS)
def test_ten_runs_over_their_own_output_give_one_report(tree: Path, tmp_path: Path, name: str) -> None:
    if "delta" in name:
        pytest.importorskip("deltalake")
    first = report([tree], tmp_path / "first", *REPORT)
    for number in range(RUNS if LONG or name in {"calls", "state"} else 2):
        DOINGS[name](tree)
        if number in {0, 1, RUNS - 1}:
            assert_same_report(report([tree], tmp_path / "again", *REPORT), first)
    assert find_logs([str(tree)]).skipped


def test_all_kinds_of_output_below_the_logs_change_nothing_and_are_named_once(tree: Path, tmp_path: Path) -> None:
    first = report([tree], tmp_path / "first", *REPORT)
    for name, do in DOINGS.items():
        if "delta" not in name:
            do(tree)
    again = report([tree], tree / "reports", *REPORT)
    assert_same_report(again, first)
    assert again.manifest["run"]["skipped"] == [
        {"path": "tree/filled", "what": "a backfilled copy"},
        {"path": "tree/kept", "what": "a report"},
        {"path": "tree/nightly", "what": "a report"},
        {"path": "tree/old/filled", "what": "a backfilled copy"},
        {"path": "tree/old/gap", "what": "a reconciliation"},
        {"path": "tree/reports", "what": "a report"},
        {"path": "tree/state", "what": "a state"},
        {"path": "tree/work", "what": "a work dir"},
    ]
    shown = callcost("inspect", tree).stdout
    assert "skipped, as no logs: tree/filled (a backfilled copy), tree/kept (a report)" in shown
    assert shown.count("skipped, as no logs") == 1


def test_what_a_report_publishes_into_the_folder_of_its_logs_is_not_read(tree: Path, tmp_path: Path) -> None:
    (tree / "manifest.json").unlink()  # of a log; a report would write over it
    first = report([tree], tmp_path / "first", *REPORT)
    for _ in range(3):
        again = report([tree], tree, *REPORT)
        assert_same_report(again, first)
    assert report([tree], tree, "--format", "json").spend == first.spend  # spend.csv is of the run before
    assert_same_report(report([tree], tmp_path / "again", *REPORT), first)
    assert again.manifest["run"]["skipped"] == [{"path": "tree", "what": "a report"}]


def test_logs_beside_a_report_are_read_whatever_their_names(tree: Path, tmp_path: Path) -> None:
    report([tree / "a.jsonl"], tree / "reports")
    chance = random.Random(7)
    rows = [_call(chance, number) for number in range(1_000, 1_030)]
    write_lines(tree / "reports/mine.jsonl", rows[:10])
    write_lines(tree / "reports/spend.json", rows[10:20])
    pl.DataFrame([{"id": row["id"], "model": "o3", "prompt_tokens": 5} for row in rows[20:]]).write_parquet(
        tree / "reports/calls.parquet"
    )
    found = report([tree], tmp_path / "out")
    assert found.input("mine.jsonl")["calls"] == found.input("spend.json")["calls"] == 10
    assert found.input("calls.parquet")["calls"] == 10


def test_a_renamed_manifest_is_one_and_a_stranger_of_its_name_is_none(tree: Path, tmp_path: Path) -> None:
    first = report([tree], tmp_path / "first", *REPORT)
    report([tree], tree / "old", *REPORT)
    (tree / "old/manifest.json").rename(tree / "old/record-of-october.json")
    assert_same_report(report([tree], tmp_path / "again", *REPORT), first)
    for name in ("manifest", "ledger", "run", "entry"):  # of other tools, among their logs
        folder = tree / f"tool-{name}"
        write_lines(folder / "log.jsonl", [_call(random.Random(1), 5_000 + len(name))])
        document = {"schema_version": 2, "inputs": ["log.jsonl"], "options": {}, "published": {}, "run": {}}
        (folder / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    logs = find_logs([str(tree)])
    assert [one.path for one in logs.skipped] == ["tree/old"]
    assert sum(source.name.endswith("log.jsonl") for source in logs.inputs) == 4


@pytest.mark.parametrize(
    ("name", "where", "words"),
    [
        ("calls", "reports", ("a report", "callcost report")),
        ("state", "state", ("a state", "--state")),
        ("work dir", "work", ("a work dir", "callcost gc")),
        ("reconcile", "old/gap", ("a reconciliation", "callcost reconcile")),
    ],
)
def test_output_that_is_named_itself_is_refused_and_says_what_answers(
    tree: Path, tmp_path: Path, name: str, where: str, words: tuple[str, ...]
) -> None:
    DOINGS[name](tree)
    answers = name in {"calls", "state"}  # of a report, as its logs do
    for command in ("report", "reconcile", "backfill")[answers:]:
        refused = callcost(command, tree / where, "--out", tmp_path / "out")
        assert refused.code == 1
        assert all(word in refused.stderr for word in (*words, where)), refused.stderr
    assert callcost("inspect", tree / where).code == 1
    assert not (tmp_path / "out").exists()


def test_a_backfilled_folder_is_logs_where_it_is_named_itself(tree: Path, tmp_path: Path) -> None:
    first = report([tree], tmp_path / "first")
    callcost("backfill", tree, "--out", tree / "filled")
    for named in ([tree / "filled"], [tree / "filled/tree"], [tree, tree / "filled"]):
        assert report(named, tmp_path / "again").spend == first.spend
    assert report([tree / "filled/tree/a.jsonl"], tmp_path / "one").records["calls"] == 12
    assert report([f"{tree}/filled/tree/*.jsonl"], tmp_path / "glob").input("a.jsonl")["calls"] == 12
    write_lines(tree / "filled/mine.jsonl", [_call(random.Random(3), 9_000)])
    assert report([tree], tmp_path / "more").records["calls"] == first.records["calls"] + 1


def _tables(tree: Path) -> dict[str, Path]:
    """Return one table of each kind that callcost writes."""
    for name in ("calls", "state", "work dir", "reconcile"):
        DOINGS[name](tree)
    found = {path.name: path for path in sorted(tree.rglob("*")) if path.suffix in {".parquet", ".csv"}}
    facts = next(path for path in found.values() if path.name.startswith("facts-"))
    names = ("spend.parquet", "spend.csv", "calls.parquet", "rejects.parquet", "reconciliation.parquet")
    return {name: found[name] for name in (*names, "reconciliation.csv", "causes.csv")} | {"facts.parquet": facts}


def test_a_table_of_ours_is_refused_wherever_it_lies_in_any_container(tree: Path, tmp_path: Path) -> None:
    first = report([tree / "a.jsonl"], tmp_path / "first", *REPORT)
    tables = _tables(tree)
    loose = tmp_path / "loose"
    write_lines(loose / "a.jsonl", [(tree / "a.jsonl").read_bytes().rstrip()])
    for name, path in tables.items():
        (loose / f"my-{name}").write_bytes(path.read_bytes())
        table = pl.read_csv(path) if path.suffix == ".csv" else pl.read_parquet(path)
        flat = table.select(pl.exclude(pl.List, pl.Struct, pl.Object)).drop("tags", strict=False)
        flat.write_ndjson(loose / f"{name}.jsonl")
        flat.write_parquet(loose / f"{name}.parquet")
        (loose / f"{name}.csv.gz").write_bytes(gzip.compress(flat.write_csv(separator=";").encode()))
    found = report([loose], tmp_path / "found", *REPORT)
    assert found.spend == first.spend
    assert found.records["rejects"] > 0
    assert {reject["reason"] for reject in found.rejects} == {"own_output"}
    assert all("report" in reject["detail"] for reject in found.rejects)
    whole = [reject for reject in found.rejects if not reject["source_file"].endswith(".jsonl")]
    assert len(whole) == 3 * len(tables)
    assert all(reject["source_row"] is None for reject in whole)


@pytest.mark.parametrize("flags", [("--dialect", "plain"), ("--mapping", "own.toml")])
def test_no_option_makes_calls_of_our_own_tables(tree: Path, tmp_path: Path, flags: tuple[str, str]) -> None:
    report([tree], tmp_path / "out", *REPORT)
    mapping = '[columns]\nmodel = "model"\nprompt_tokens = "prompt_tokens"\n'
    (tmp_path / "own.toml").write_text(mapping, encoding="utf-8")
    asked = (flags[0], tmp_path / flags[1]) if flags[1].endswith("toml") else flags
    for name in ("spend.json", "spend.csv", "calls.parquet"):
        found = report([tmp_path / "out" / name], tmp_path / "again", *asked, expect=1)
        assert {reject["reason"] for reject in found.rejects} == {"own_output"}


def test_half_written_output_adds_nothing(tree: Path, tmp_path: Path) -> None:
    first = report([tree], tmp_path / "first", *REPORT)
    report([tree], tree / "reports", *REPORT)
    report([tree], tree / "nightly", "--state", tree / "state")
    callcost("backfill", tree, "--out", tree / "filled")
    for path in [*tree.rglob("manifest.json"), *tree.rglob("ledger*.json")]:
        if path.parent != tree:
            path.unlink()  # written last: a run that was killed left none
    (tree / "reports/spend.csv.callcost-tmp").write_bytes((tree / "a.jsonl").read_bytes())
    again = report([tree], tmp_path / "again", *REPORT)
    assert again.spend == first.spend
    assert again.records["calls"] == first.records["calls"]
    added = [reject for reject in again.rejects if reject["source_file"] != "tree/broken.jsonl"]
    assert {reject["reason"] for reject in added} == {"own_output"}


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("flags", [(), ("--state", "state")], ids=["report", "state"])
def test_what_a_run_left_that_was_killed_while_it_published_is_no_log(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
) -> None:
    first = report([tree], tmp_path / "first", *REPORT)
    state: list[str | Path] = [flags[0], tree / flags[1]] if flags else []

    def publish(folder: Folder, name: str, data: bytes) -> FileVersion:
        if name == "rejects.parquet":
            raise Killed
        return publish_file(folder, name, data)

    with monkeypatch.context() as patch:
        module = "callcost.jobs.state.partitions" if flags else "callcost.stages.report.publish"
        patch.setattr(f"{module}.publish_file", publish)
        with pytest.raises(Killed):
            callcost("report", tree, "--out", tree / "reports", *state)
    assert list((tree / "reports").glob("spend.*"))
    assert not (tree / "reports/manifest.json").exists()
    assert_same_report(report([tree], tmp_path / "again", *REPORT), first)
    for _ in range(2):
        found = report([tree], tree / "reports", *state)
        assert (found.records, found.spend) == (first.records, first.spend)
    assert not (tree / "reports/.callcost-unfinished.json").exists()
