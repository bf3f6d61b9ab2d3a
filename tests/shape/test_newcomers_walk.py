"""A newcomer who follows one line of a log to its sum meets few files: a tracer notes which ones the line enters."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from callcost import ReportOptions, WorkOptions, report_spend
from callcost.settings import CountOptions
from tests.command import ROOT, SAMPLES

PACKAGE = ROOT / "pipeline" / "callcost"
TASKS = {"map_inputs", "settle_spans", "settle_keys", "reduce_files"}  # from reading to sums: what a worker runs
MOST_FILES = {"by columns": 32, "record by record": 50}  # 25 is the aim


class Walk:
    """A profiler that notes the files of the package whose functions run while a task does."""

    def __init__(self) -> None:
        self.files: dict[str, None] = {}
        self._task: FrameType | None = None

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        code = frame.f_code
        if event == "call":
            if self._task is None and code.co_name in TASKS:
                self._task = frame
            if self._task and code.co_name != "<module>" and Path(code.co_filename).is_relative_to(PACKAGE):
                self.files.setdefault(Path(code.co_filename).relative_to(PACKAGE).as_posix())
        elif event == "return" and frame is self._task:
            self._task = None


@pytest.mark.parametrize("way", MOST_FILES)
def test_a_line_of_litellm_enters_few_files_from_reading_to_sums(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "by columns":  # as each line of a log that is not very small
        monkeypatch.setattr("callcost.stages.columnar.stretches.COLUMN_BYTES", 0)
    line = (SAMPLES / "litellm/spend-2025-02.jsonl").read_text(encoding="utf-8").splitlines()[0]
    log = tmp_path / "one.jsonl"
    log.write_text(f"{line}\n", encoding="utf-8")
    options = ReportOptions(logs=log, work=WorkOptions(workers=1), count=CountOptions(item_timeout=0))
    report_spend(options)  # what is opened once, as tables and the price book, is no part of a line's way
    walk = Walk()

    before = sys.getprofile()
    sys.setprofile(walk)
    try:
        report = report_spend(options)
    finally:
        sys.setprofile(before)

    sys.stdout.write("\n".join([*walk.files, f"{len(walk.files)} files\n"]))
    assert report.spend.select("calls", "prompt_tokens", "completion_tokens").rows() == [(1, 2000, 400)]
    assert next(iter(walk.files)) == "stages/tasks.py"
    assert "stages/report/spend.py" in walk.files
    assert len(walk.files) <= MOST_FILES[way]
