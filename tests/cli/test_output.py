"""What is printed: names cannot steer a terminal, markup is text, and a stream that is closed or full ends no work."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.cli.root import run
from callcost.cli.terminal.output import safe_document
from callcost.readable import visible
from tests.command import ROOT, SAMPLES, callcost, on_a_terminal, report, write_lines

EVIL = "\x1b]0;pwned\x07\x1b[2J \x9b31m\u202etxt.exe\u2066\u200f\r\nforged: line\x00"
MARKUP = r"[/] [bold]x[/bold] \[/red] [link=file:///x]y"
ANY_TEXT = st.text(st.characters(), max_size=30)  # halves of pairs, too
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def _steers(sign: str) -> bool:
    """Say whether a character controls a terminal, turns text around, or is no character."""
    return (
        unicodedata.category(sign) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(sign) in BIDI
        or sign in "\u200e\u200f\u061c"
    )


@given(ANY_TEXT)
def test_a_visible_line_steers_nothing_and_keeps_what_is_harmless(text: str) -> None:
    shown = visible(text)
    assert not any(map(_steers, shown))
    shown.encode()  # halves of pairs are shown, too
    if not any(map(_steers, text)) and "\ufeff" not in text:
        assert shown == text


@given(st.recursive(ANY_TEXT, lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner), max_leaves=5))
def test_a_safe_document_says_the_same_and_steers_nothing(content: Any) -> None:
    shown = safe_document(json.dumps(content, ensure_ascii=False, indent=1))
    assert json.loads(shown) == content
    assert not any(_steers(sign) for sign in shown if sign != "\n")


def _row(number: int, name: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    row = {"id": f"{number}{name}", "timestamp": "2025-06-01T10:00:00Z", "model": name, "user": name, "cost": 0.5}
    return {**row, "usage": usage, "metadata": {"tags": {name: name}}}


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """A folder whose log and whose names in it would do something to a terminal; one call is priced, one record bad."""
    rows = [_row(1, EVIL), _row(2, MARKUP), {**_row(3, MARKUP), "model": "gpt-4o"}]
    write_lines(tmp_path / "logs" / f"a{EVIL[:-1].replace('/', '')}[bold].jsonl", [*rows, b"{"])
    return tmp_path


VERBS: list[tuple[str, ...]] = [
    ("report", "logs", "--out", "o", "--by", "user,model,source_file"),
    ("report", "logs", "--out", "o", "--by", f"tag:{MARKUP},user"),
    ("report", "logs", "--out", "s", "--state", "state"),
    ("report", f"nothing{EVIL[:-1]}[bold]", "--out", "o"),
    ("inspect", "logs"),
    ("inspect", "logs", "--format", "json"),
    ("explain", "logs", "--call", f"3{MARKUP}"),
    ("reconcile", "logs", "--out", "o"),
    ("backfill", "logs", "--out", "o"),
    ("prices", "diff", "2025-06-01", "latest", "--logs", "logs"),
    ("prices", "show", f"gpt{EVIL[:-1]}"),
    ("tokens", "count", f"--no{EVIL[:-1]}"),
]


EVENTS = [(*words, "--log-format", "json") for words in VERBS if words[0] == "report"]


@pytest.mark.parametrize("words", [*VERBS, *EVENTS], ids=lambda words: " ".join(words[:2])[:24])
def test_no_name_steers_a_terminal_through_a_pipe(
    evil: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(evil)
    done = callcost(*words)
    assert done.stdout or done.stderr
    assert not any(_steers(sign) for sign in (done.stdout + done.stderr).replace("\n", ""))
    assert not re.search("^forged", done.stdout + done.stderr, flags=re.MULTILINE)


@pytest.mark.parametrize("words", [VERBS[0], VERBS[1], VERBS[4], VERBS[9]], ids=lambda words: " ".join(words[:2]))
def test_no_name_steers_a_terminal(evil: Path, words: tuple[str, ...]) -> None:
    code, seen = on_a_terminal(*words, cwd=evil)
    assert code == 0, seen
    assert "Traceback" not in seen
    ours = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen).replace("\r", "").replace("\n", "")  # of bar and table
    assert not any(map(_steers, ours))
    assert "\x1b[2J" not in seen
    assert r"\x1b" in seen or "tag:" in words[-1]
    assert "[bold]" in seen or "[/]" in seen


def _ended(words: list[str | Path], redirection: str, **how: Any) -> subprocess.CompletedProcess[bytes]:
    line = ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-m", "callcost", *map(str, words)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
    return subprocess.run(line, env=env, stdin=subprocess.DEVNULL, timeout=100, check=False, **how)


@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full"])
def test_a_report_whose_streams_are_closed_or_full_is_whole(tmp_path: Path, redirection: str, out: Path) -> None:
    log = write_lines(tmp_path / "a.jsonl", [_row(1, "gpt-4o"), b"{"])
    before = log.read_bytes()
    done = _ended(["report", log, "--out", out, "--max-rejected", "1"], redirection)
    assert done.returncode == 3, done.stderr
    assert b"Traceback" not in done.stderr
    assert json.loads((out / "manifest.json").read_bytes())["records"]["calls"] == 1
    assert log.read_bytes() == before


@pytest.mark.parametrize("words", [("prices", "list"), ("inspect", SAMPLES), ("--help",)], ids=lambda words: words[0])
def test_data_that_cannot_be_written_is_a_failure_that_is_told(words: tuple[str | Path, ...]) -> None:
    done = _ended([*words], ">/dev/full")
    assert done.returncode == 1
    assert done.stderr.decode().startswith("callcost: cannot write to standard output: No space left on device")
    assert done.stderr.count(b"\n") == 1


def test_a_reader_that_has_seen_enough_changes_no_code(tmp_path: Path, out: Path) -> None:
    log = write_lines(tmp_path / "a.jsonl", [_row(1, "gpt-4o"), b"{"])
    for words, name, code in (
        (["prices", "list"], "stdout", 0),
        (["inspect", log], "stdout", 0),
        (["report", log, "--out", out], "stderr", 0),
        (["report", log, "--out", out, "--strict"], "stderr", 3),
    ):
        ours, theirs = os.pipe()
        os.close(ours)
        done = _ended([*words], "", **{name: theirs})
        os.close(theirs)
        assert (done.returncode, b"Traceback" in (done.stderr or b"")) == (code, False), words
        assert not (done.stderr or b"") or name == "stderr"
    assert (out / "manifest.json").exists()


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_program_without_streams_can_run_the_command(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    log = write_lines(tmp_path / "a.jsonl", [_row(1, "gpt-4o")])
    with monkeypatch.context() as patch:
        patch.setattr(sys, name, None)
        codes = [run(["report", str(log), "--out", str(out)]), run(["inspect", str(log)]), run(["report"])]
    assert codes == [0, 0, 2]


def test_a_stream_that_knows_few_letters_gets_all_names(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "a.jsonl", [_row(1, "Zoë 東京")])
    done = callcost("inspect", log, env={"PYTHONIOENCODING": "ascii"})
    assert done.code == 0
    assert r"Zo\xeb \u6771\u4eac" in done.stdout


def test_data_files_keep_names_as_they_are(evil: Path, out: Path) -> None:
    done = report([evil / "logs"], out, "--by", "user", "--calls")
    assert EVIL in {call["user"] for call in done.calls}


def test_text_is_printed_at_one_place() -> None:
    """Nothing else in the package writes to the process's streams, so that no name goes around what escapes it."""
    ways = re.compile(r"\bclick\.s?echo\(|(?<![\w.])print\(|sys\.(__)?std(out|err)\b|\bConsole\(")
    found = {
        path.relative_to(ROOT / "pipeline" / "callcost").as_posix()
        for path in (ROOT / "pipeline" / "callcost").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if ways.search(line) and 'f"print(' not in line  # Gemini's way to write a call, in tokens/framing/gemini.py
    }
    assert found == {"cli/terminal/output.py", "__main__.py"}
