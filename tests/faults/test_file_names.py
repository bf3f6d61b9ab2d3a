"""File names that are not UTF-8: read as they are on disk, written into data with %FF, and refused as options."""

from __future__ import annotations

import gzip
import json
import os
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.io.object_store import written_name
from tests.command import assert_conserved, callcost, report

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
NAMES = [
    "logs%FE/a%FF.jsonl", "logs%FE/a%FF.jsonl#2", "logs%FE/d%FF/g%E9.jsonl.gz", "logs%FE/m%FF.jsonl",
    "logs%FE/n%FF.csv", "logs%FE/p%FF.parquet", "logs%FE/s%FF.jsonl",
]  # fmt: skip


def _lines(name: str) -> bytes:
    return b"".join(
        b'{"id":"%s-%d","model":"gpt-4o","prompt_tokens":9,"completion_tokens":1,"cost":1,'
        b'"timestamp":"2026-10-31T22:30:00.123Z"}\n' % (name.encode(), number)
        for number in range(3)
    )


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder, and logs of every kind in it, whose names are no text."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/logs\xfe"))
    (folder / os.fsdecode(b"d\xff")).mkdir(parents=True)
    plain = tmp_path / "plain.parquet"
    pq.write_table(pa.Table.from_pylist([json.loads(line) for line in _lines("p").splitlines()]), plain)
    for name, data in {
        b"a\xff.jsonl": _lines("a"),
        b"a%FF.jsonl": _lines("b"),
        b"d\xff/g\xe9.jsonl.gz": gzip.compress(_lines("g")),
        b"p\xff.parquet": plain.read_bytes(),
        b"n\xff.csv": b"id,model,prompt_tokens,completion_tokens\ne1,gpt-4o,9,1\n",
        b"s\xff.jsonl": b'{"broken\n',
        b"m\xff.jsonl": b'{"model":"gpt-4o","messages":[{"role":"user","content":"Well?"}],"response":"Fine."}\n',
    }.items():
        (folder / os.fsdecode(name)).write_bytes(data)
    return folder


def test_a_report_has_them_escaped_and_each_of_its_own(tmp_path: Path, logs: Path) -> None:
    finished = report([logs], tmp_path / "out", "--by", "source_file", "--calls", "--format", "csv,json,parquet")
    assert_conserved(finished)
    assert [entry["path"] for entry in finished.manifest["inputs"]] == NAMES
    assert finished.records["calls"] == 14
    assert {row["source_file"] for row in finished.spend} == set(NAMES[:-1])
    assert {call["source_file"] for call in finished.calls} == set(NAMES[:-1])
    assert [reject["source_file"] for reject in finished.rejects] == NAMES[-1:]
    assert [Path(log).name for log in finished.manifest["run"]["logs"]] == ["logs%FE"]


@pytest.mark.parametrize("how", ["pool", "--work-dir", "--state"])
def test_every_way_of_working_gives_the_same(tmp_path: Path, logs: Path, how: str) -> None:
    plain = report([logs], tmp_path / "plain")
    flags = () if how == "pool" else (how, tmp_path / "kept")
    for _ in range(1 if how == "pool" else 2):
        other = report([logs], tmp_path / "out", *flags, pool=how == "pool")
        assert (other.out / "spend.csv").read_bytes() == (plain.out / "spend.csv").read_bytes()
        assert other.what["inputs"] == plain.what["inputs"]
    if how == "--state":
        assert "0 inputs read, 7 known" in other.stderr


def test_events_have_them_escaped(tmp_path: Path, logs: Path) -> None:
    words = ("--out", tmp_path / "out", "--state", tmp_path / "state", "--log-format", "json")
    finished = callcost("report", logs, *words)
    events = [json.loads(line) for line in finished.stderr.splitlines()]
    assert [event["file"] for event in events if event["event"] == "read"] == NAMES


def test_backfill_keeps_the_bytes_of_the_names(tmp_path: Path, logs: Path) -> None:
    finished = callcost("backfill", logs, "--out", tmp_path / "out", "--format", "json")
    assert (finished.code, [row["path"] for row in json.loads(finished.stdout)["inputs"]]) == (0, NAMES)
    copies = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    originals = {path.relative_to(tmp_path).as_posix() for path in logs.rglob("*") if path.is_file()}
    assert {name for name in copies if not name.startswith(".")} == originals


@pytest.mark.parametrize(
    "words",
    [
        ("inspect",), ("inspect", "--format", "json"), ("inspect", "--infer-mapping"), ("explain", "--call", "p-1"),
        ("reconcile",), ("backfill", "--dry-run"), ("prices", "diff", "litellm-1.80.0", "latest"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_verb_takes_them(tmp_path: Path, logs: Path, words: tuple[str, ...]) -> None:
    more = ("--out", tmp_path / "out") if words[0] == "reconcile" else ()
    place: tuple[str | Path, ...] = ("--logs", logs) if words[0] == "prices" else (logs,)
    finished = callcost(*words, *place, *more)
    assert finished.code == 0, finished.stderr
    (finished.stdout + finished.stderr).encode()


def test_what_matches_nothing_is_shown(tmp_path: Path) -> None:
    finished = callcost("report", os.fsdecode(b"none\xff"), "--out", tmp_path / "out")
    assert (finished.code, finished.stderr[:36]) == (1, "callcost: no file matches none\\xff. ")


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("--out", "out"), ("--state", "state"), ("--work-dir", "work_dir"), ("--mapping", "mapping"),
        ("--prices-override", "prices_override"), ("--where", "where"), ("--by", "by"), ("--timezone", "timezone"),
        ("--storage-option", "storage_option"), ("--run-id", "run_id"), ("--prices", "prices"),
        ("--dialect", "dialect"), ("--since", "since"), ("--format", "format"), ("--log-format", "log_format"),
    ],
)  # fmt: skip
def test_an_option_that_is_not_utf8_is_refused_by_name(tmp_path: Path, logs: Path, option: str, name: str) -> None:
    words = {"--out": str(tmp_path / "out"), option: os.fsdecode(b"user=a\xff")}
    finished = callcost("report", logs, *[word for pair in words.items() for word in pair])
    assert finished.code == 2
    assert finished.stderr == f"callcost: {name}: 'user=a\\udcff' is not UTF-8\n"


@given(st.binary(min_size=1, max_size=20))
def test_a_written_name_is_text_and_that_of_text_is_itself(raw: bytes) -> None:
    name = os.fsdecode(raw)
    written = written_name(name)
    written.encode()
    assert written_name(written) == written
    try:
        assert raw.decode() == written == name
    except UnicodeDecodeError:
        assert "%" in written
