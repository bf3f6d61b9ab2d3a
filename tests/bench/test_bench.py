"""The measurements measure: data is the same every time, a command's cost is told, ratios are what they say.

None of them gates: how fast callcost is depends on the machine, and ``python -m tests.bench`` prints it.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import islice
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pyarrow.parquet as pq
import pytest

from tests.bench import logs
from tests.bench.__main__ import lines_of
from tests.bench.cases import CASES, run_cases
from tests.bench.chart import draw_chart
from tests.bench.dialect_logs import LOGS
from tests.bench.floors import COLUMNS, type_of
from tests.bench.jobs import Job
from tests.bench.measure import take
from tests.bench.process import run_all
from tests.bench.runs import SIZES, Bench, Figure, Ratio, Section, against


def test_the_logs_are_the_same_every_time(tmp_path: Path) -> None:
    pairs = [
        (logs.write_jsonl(tmp_path / f"{name}-{turn}", logs.chats(30, usage=name == "complete")), name)
        for turn in (1, 2)
        for name in ("complete", "missing")
    ]
    flat = [logs.write_flat(tmp_path / f"flat-{turn}", 50) for turn in (1, 2)]

    assert pairs[0][0].read_bytes() == pairs[2][0].read_bytes() != pairs[1][0].read_bytes()
    assert pairs[1][0].read_bytes() == pairs[3][0].read_bytes()
    assert flat[0].read_bytes() == flat[1].read_bytes()
    assert pq.read_table(flat[0]).num_rows == 50


def test_few_chats_are_the_first_of_many() -> None:
    assert list(logs.chats(5, usage=True)) == list(islice(logs.chats(20, usage=True), 5))


def test_chats_repeat_as_much_text_as_they_say() -> None:
    texts = [
        message["content"]
        for chat in logs.chats(2_000, usage=False)
        for message in [*chat["messages"], chat["response"]["choices"][0]["message"]]
    ]

    assert {len(text) for text in texts} == {logs.LETTERS}
    assert 1 - len(set(texts)) / len(texts) == pytest.approx(logs.REPEATED, abs=0.02)


def test_a_commands_cost_is_its_familys() -> None:
    child = "import time; held = b'x' * 64_000_000\nwhile time.process_time() < 0.5: pass"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True); print('done')"

    taken = take([sys.executable, "-c", parent], os.environ)

    assert taken.output == "done\n"
    assert taken.cpu > 0.4
    assert taken.peak is None or taken.peak > 64_000_000


def test_a_command_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match="no luck"):
        take([sys.executable, "-c", "raise SystemExit('no luck')"], os.environ)


def test_the_parts_of_a_job_make_the_whole(tmp_path: Path) -> None:
    log = logs.write_jsonl(tmp_path / "lean.jsonl", logs.lean(101))

    units = [run_all("msgspec parses lean", Job(path=str(log), parts=parts))["units"] for parts in (1, 2)]

    assert units == [101, 101]


def test_a_report_is_measured_and_set_against_the_parse_floor(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SIZES["tiny"])

    ours = bench.report(bench.lean(), SIZES["tiny"].lean, workers=1)
    floor = bench.work("msgspec parses lean", "floor", bench.lean())

    assert ours.units == floor.units == SIZES["tiny"].lean
    assert 0 < against("share", ours, floor, unit="%").wall < 100


def test_nights_are_measured(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SIZES["tiny"])

    section = CASES["nights"](bench)

    assert [figure.units for figure in section.figures] == [100, 150, 150]
    assert all(ratio.wall > 0 for ratio in section.ratios)


@pytest.mark.parametrize("dialect", COLUMNS)
def test_the_floor_of_a_dialect_takes_every_column_that_is_there(dialect: str) -> None:
    def values(line: Any) -> list[Any]:
        held = msgspec.structs.astuple(line)
        return [below for one in held for below in (values(one) if isinstance(one, msgspec.Struct) else [one])]

    records = list(LOGS[dialect](40))
    lines = msgspec.json.decode(json.dumps(records).encode(), type=list[type_of(dialect)])  # type: ignore[misc]

    seen = set().union(*({path for path in COLUMNS[dialect] if _at(record, path) is not None} for record in records))
    assert seen >= set(COLUMNS[dialect]) - {"parent_id"}
    for line, record in zip(lines, records, strict=True):
        held = [_at(record, path) for path in COLUMNS[dialect]]
        assert sorted(map(str, filter(None, values(line)))) == sorted(map(str, filter(None, held)))


def _at(record: Any, path: str) -> Any:
    for key in path.split("/"):
        record = record.get(key) if isinstance(record, dict) else None
    return record


def test_transcripts_are_the_rows_that_were_asked_for(tmp_path: Path) -> None:
    home = Bench(tmp_path, SIZES["tiny"]).transcripts()

    assert sum(path.read_bytes().count(b"\n") for path in home.rglob("*.jsonl")) == SIZES["tiny"].transcribed


def test_ratios_are_printed_and_drawn() -> None:
    slow = Figure(title="theirs", units=10, wall=2.0, cpu=2.0, peak=None)
    quick = Figure(title="ours", units=100, wall=2.0, cpu=4.0, peak=1 << 20)
    ratio = against("ours : theirs", quick, slow, 7, charted="quick & slow")
    share = Ratio(title="share", wall=12.0, target=35, unit="%", charted="share")

    words = "\n".join(lines_of(Section(title="case", figures=[slow, quick], ratios=[ratio, share])))
    picture = ElementTree.fromstring(draw_chart([ratio, share], "where <and> when"))

    assert (ratio.wall, ratio.cpu, ratio.met, share.met) == (10.0, 5.0, True, False)
    assert "MISSED" in words
    assert {"quick & slow", "10.0 x", "share", "12 %"} <= {element.text for element in picture.iter()}


@pytest.mark.bench
@pytest.mark.parametrize("name", CASES)
def test_every_case_runs(name: str, tmp_path: Path) -> None:
    pytest.importorskip("litellm", reason="needs the extra: bench")
    bench = Bench(tmp_path, SIZES["tiny"])

    [section] = run_cases(bench, (name,))

    assert all(ratio.wall > 0 for ratio in section.ratios)
