"""`--pseudonyms`: no output of a report holds a name of a user, an end user, an API key or a session."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.errors import ConfigError
from callcost.settings import FingerprintKey, ReportOptions
from callcost.stages.report.pseudonyms import COLUMNS, hide_names
from tests.command import Finished, callcost, report, write_lines

NAMES = ("ana.silva", "end-nadia", "sk-hash-77", "session-4711")
FORMATS = "parquet,csv,json,markdown,html"


def _call(number: int, user: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"c-{number}",
        "timestamp": f"2025-03-0{1 + number % 3}T10:00:00.{number + 1:06}Z",
        "model": "gpt-4o",
        "user": user,
        "end_user": "end-nadia",
        "api_key": "sk-hash-77",
        "session": "session-4711",
        "usage": {"prompt_tokens": 1000 + number, "completion_tokens": 10},
        **more,
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log, two keys, and a report with pseudonyms in `out`."""
    folder = tmp_path_factory.mktemp("pseudonyms")
    write_lines(folder / "calls.jsonl", [*[_call(n, NAMES[0]) for n in range(4)], *[_call(n, "bo") for n in (4, 5)]])
    (folder / "key").write_text("0123456789abcdef-one\n")
    (folder / "other").write_text("0123456789abcdef-two\n")
    report([folder / "calls.jsonl"], folder / "out", *_words(folder), "--by", "user,session,end_user,api_key")
    return folder


def _words(folder: Path, key: str = "key") -> tuple[str | Path, ...]:
    return ("--format", FORMATS, "--calls", "--pseudonyms", folder / key)


def _texts(out: Path) -> dict[str, str]:
    """Return what each file of a report holds, as text."""
    found = {}
    for path in sorted(each for each in out.rglob("*") if each.is_file()):
        is_table = path.suffix == ".parquet"
        found[path.name] = str(pl.read_parquet(path).to_dicts()) if is_table else path.read_text(encoding="utf-8")
    return found


def _assert_hidden(finished: Finished | Path, *more: str) -> None:
    texts = _texts(finished if isinstance(finished, Path) else finished.out)
    assert {"spend.csv", "manifest.json", "report.html"} <= texts.keys()
    shown = [(name, word) for name, text in texts.items() for word in (*NAMES, *more) if word in text]
    assert shown == []


def test_no_file_of_a_report_holds_a_name(place: Path, tmp_path: Path) -> None:
    _assert_hidden(place / "out")
    words = ("--by", "user", "--where", "user=ana*", "--where", f"session={NAMES[3]}")
    filtered = report([place / "calls.jsonl"], tmp_path, *_words(place), *words)
    _assert_hidden(filtered, "ana")
    assert filtered.manifest["totals"]["calls"] == 4
    assert not [name for name in NAMES if name in filtered.stdout + filtered.stderr]


def test_the_table_on_stdout_and_a_state_hold_no_name(place: Path, tmp_path: Path) -> None:
    shown = callcost("report", place / "calls.jsonl", "--by", "user,session", "--pseudonyms", place / "key")
    assert not [name for name in NAMES if name in shown.stdout + shown.stderr]
    state = ("--format", FORMATS, "--pseudonyms", place / "key", "--state", tmp_path / "state", "--by", "user,session")
    kept = report([place / "calls.jsonl"], tmp_path / "out", *state)
    _assert_hidden(kept)
    assert callcost("close", "2025-03-01", "--state", tmp_path / "state").code == 0
    again = report([place / "calls.jsonl"], tmp_path / "out", *state)
    _assert_hidden(again)
    assert (again.out / "spend.csv").read_bytes() == (tmp_path / "out/spend.csv").read_bytes()


def test_the_same_key_gives_the_same_pseudonyms_and_sums_stay(place: Path, tmp_path: Path) -> None:
    log, by = place / "calls.jsonl", ("--by", "user", "--format", "csv", "--quiet")
    plain = report([log], tmp_path / "plain", *by).spend
    first, second, other = (
        report([log], tmp_path / str(n), *by, "--pseudonyms", place / key).spend
        for n, key in enumerate(("key", "key", "other"))
    )
    assert first == second
    assert [{**row, "user": ""} for row in first] == [{**row, "user": ""} for row in plain]
    assert not {row["user"] for row in first} & {row["user"] for row in other}


def test_a_report_with_pseudonyms_answers_with_them(place: Path, tmp_path: Path) -> None:
    held = report([place / "out"], tmp_path, *_words(place), "--by", "user,session,end_user,api_key")
    for name in ("spend.csv", "calls.parquet", "report.html"):
        assert (held.out / name).read_bytes() == (place / "out" / name).read_bytes(), name
    former = json.loads((place / "out/manifest.json").read_text())
    assert held.manifest["options"]["pseudonyms"] == former["options"]["pseudonyms"] is not None
    refused = callcost("report", place / "out", "--pseudonyms", place / "other")
    assert (refused.code, "pseudonyms of another key" in refused.stderr) == (2, True)


def test_a_sum_of_a_session_that_bears_its_name_is_hidden_too() -> None:
    rows = pl.DataFrame({"call_id": ["s-1", "c-2", None], **{name: ["s-1", "s-1", None] for name in COLUMNS}})
    hidden = hide_names(rows, FingerprintKey("0123456789abcdef"))
    assert hidden["call_id"].to_list() == [hidden["session"][0], "c-2", None]
    assert hidden["user"][0] != hidden["session"][0]
    assert hide_names(rows, None).equals(rows)


def test_a_key_that_is_short_or_missing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("secret")
    for name, words in (("short", "fewer than 16"), ("none", "cannot be read")):
        with pytest.raises(ConfigError, match=words):
            ReportOptions(logs="a", pseudonyms=tmp_path / name)
