"""The README is true: its commands run, and what it prints is what they print."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tests.command import ROOT, callcost, on_a_terminal, report, write_lines

README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)\n```$", README, flags=re.MULTILINE | re.DOTALL)


MAIN, TESTS = _blocks("sh")


def _left_on_a_terminal(words: list[str | Path], cwd: Path) -> tuple[int, str]:
    """Run a command on a terminal; return its exit code and what stays on the screen."""
    code, seen = on_a_terminal(*words, cwd=cwd)
    left = seen.rpartition("\x1b[2K")[2]  # what came before is the progress bar, wiped out line by line
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", left).replace("\r", "").split("\n")
    return code, "\n".join(line.rstrip() for line in lines).strip("\n")


def test_the_two_commands_are_one_line_each() -> None:
    assert (
        MAIN
        == "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/callcost report sample_logs --out reports"
    )
    assert TESTS == "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/python -m pytest"


def test_the_main_command_prints_what_the_readme_shows(tmp_path: Path) -> None:
    (tmp_path / "sample_logs").symlink_to(ROOT / "sample_logs")
    code, seen = _left_on_a_terminal([*shlex.split(MAIN.split(" && ")[-1])[1:]], tmp_path)

    assert code == 0
    if seen not in README:
        (ROOT / "tests/golden/actual").mkdir(exist_ok=True)
        (ROOT / "tests/golden/actual/terminal.txt").write_text(seen, encoding="utf-8")
    assert seen.splitlines() == _blocks("text")[0].splitlines()


def test_a_quiet_terminal_and_a_quiet_pipe_see_nothing(tmp_path: Path, out: Path) -> None:
    log = ROOT / "sample_logs/plain-2025-04.jsonl.gz"
    assert _left_on_a_terminal(["report", log, "--out", tmp_path / "quiet", "--quiet"], tmp_path) == (0, "")
    finished = report([log], out, "--quiet")
    assert (finished.stdout, finished.stderr) == ("", "")


@pytest.mark.parametrize("line", re.findall(r"`(callcost prices [^`]+)`", README))
def test_price_commands_of_the_readme_run(line: str) -> None:
    finished = callcost(*shlex.split(line)[1:])
    assert finished.code == 0, finished.stderr
    assert finished.stdout


@pytest.mark.parametrize("verb", sorted(set(re.findall(r"callcost ([a-z]+)", README))))
def test_every_verb_of_the_readme_is_one(verb: str) -> None:
    assert callcost(verb, "--help").code == 0


def test_every_option_of_the_readme_is_one(tmp_path: Path) -> None:
    known = "".join(
        callcost(*words, "--help").stdout
        for words in (
            ["report"],
            ["inspect"],
            ["explain"],
            ["backfill"],
            ["close"],
            ["reconcile"],
            ["prices", "show"],
            ["prices", "diff"],
        )
    )
    of_others = {"--master", "--port", "--size"}  # Spark's, Sail's and those of tests.bench
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) - of_others:
        assert option in known, option


def test_the_mapping_of_the_readme_reads_its_logs(tmp_path: Path, out: Path) -> None:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(_blocks("toml")[0], encoding="utf-8")
    record = {
        "when": "2025-03-01 12:00:00",
        "llm": {"name": "gpt-4o"},
        "caller": {"name": None, "id": "ana.silva"},
        "tokens": {"in": 1000, "cached": 500, "out": 100},
        "charged": "0.25",
        "labels": {"environment": "prod"},
        "kind": "llm",
    }
    log = write_lines(tmp_path / "own.jsonl", [record, record | {"kind": "tool"}])

    finished = report([log], out, "--mapping", mapping, "--calls")

    (call,) = finished.calls
    assert (call["source_format"], call["model"], call["user"]) == ("gateway", "gpt-4o", "ana.silva")
    assert (call["prompt_tokens"], call["cache_read_input_tokens"], call["completion_tokens"]) == (1500, 500, 100)
    assert call["started_at"].isoformat() == "2025-03-01T11:00:00+00:00"
    assert (call["logged_cost"], call["tags"]) == (Decimal("0.0025"), [{"key": "env", "value": "prod"}])
    assert call["price_status"] == "priced"
    assert finished.records["context"] == 1


def test_the_override_of_the_readme_is_understood(tmp_path: Path, out: Path) -> None:
    override = tmp_path / "own.toml"
    override.write_text(_blocks("toml")[1], encoding="utf-8")
    report([ROOT / "sample_logs/plain-2025-04.jsonl.gz"], out, "--prices-override", override)


def test_the_python_of_the_readme_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(_blocks("python"))],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ana.silva" in done.stdout


def test_the_check_runs_the_command_of_the_readme() -> None:
    """.ci/run takes both commands from this file, so they cannot drift apart."""
    run = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert "readme_command 1" in run
    assert "readme_command 2" in run
