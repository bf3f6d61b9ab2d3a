"""`callcost report` as a script meets it: exit codes, options, streams, files."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from callcost.stages.tables.schemas import SpendMeasures, columns_of_calls
from tests.command import ROOT, SAMPLES, Finished, callcost, report, write_lines


def _row(number: int, user: str | None = "ana.silva", model: str = "gpt-4o", **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    messages = [{"role": "user", "content": "Well?"}]
    return {
        "timestamp": 1_735_700_000 + number,
        "model": model,
        "user": user,
        "messages": messages,
        "response": "Fine.",
        "usage": usage,
        **more,
    }


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Three priced calls of two users, one unpriced call, one reject."""
    rows = [_row(1), _row(2), _row(3, "bo.larsen"), _row(4, "bo.larsen", "acme-llm-9")]
    return write_lines(tmp_path / "calls.jsonl", [*rows, b"{"])


def test_a_report_is_four_files(log: Path, out: Path) -> None:
    finished = report([log], out)
    assert sorted(path.name for path in out.iterdir()) == [
        "manifest.json",
        "rejects.parquet",
        "spend.csv",
        "spend.parquet",
    ]
    assert finished.stdout == ""
    assert finished.stderr.startswith("4 calls: $")
    assert "\x1b" not in finished.stderr


def test_spend_has_the_columns_of_the_interface(log: Path, out: Path) -> None:
    finished = report([log], out, "--by", "user,model,day")
    expected = ["user", "model", "day", *SpendMeasures.names]
    assert list(finished.spend[0]) == expected == pl.read_parquet(out / "spend.parquet").columns
    assert pl.read_parquet_schema(out / "spend.parquet")["total_cost"] == pl.Decimal(38, 18)


def test_spend_is_sorted_by_cost_then_by_group(log: Path, out: Path) -> None:
    rows = report([log], out).spend
    assert [(row["model"], row["user"]) for row in rows] == [
        ("gpt-4o", "ana.silva"),
        ("gpt-4o", "bo.larsen"),
        ("acme-llm-9", "bo.larsen"),
    ]


def test_parquet_csv_and_json_say_the_same(log: Path, out: Path) -> None:
    finished = report([log], out, "--format", "parquet,csv,json")
    table = pq.read_table(out / "spend.parquet").to_pylist()
    lines = [json.loads(line) for line in (out / "spend.json").read_text(encoding="utf-8").splitlines()]
    for stored, text, line in zip(table, finished.spend, lines, strict=True):
        for name, value in stored.items():
            plain = Decimal(text[name]) if isinstance(value, Decimal) else text[name] or None
            assert (None if value is None else value if isinstance(value, Decimal) else str(value)) == plain, name
            assert line[name] == (text[name] if isinstance(value, Decimal) else value), name


def test_calls_are_written_when_asked_for(log: Path, out: Path) -> None:
    finished = report([log], out, "--calls")
    assert pq.read_schema(out / "calls.parquet").names == columns_of_calls(hashed=False)
    assert [call["source_row"] for call in finished.calls] == [1, 2, 3, 4]
    assert {call["source_file"] for call in finished.calls} == {"calls.jsonl"}
    assert len({call["call_id"] for call in finished.calls}) == 4


@pytest.mark.parametrize(
    "flags",
    [
        ("--by", "colour"),
        ("--by", "model,model"),
        ("--format", "docx"),
        ("--sort", "colour"),
        ("--state", "state", "--out", "-"),
        ("--calls", "--out", "-"),
        ("--format", "csv,json", "--out", "-"),
        ("--since", "someday"),
        ("--since", "2025-01-02", "--until", "2025-01-01"),
        ("--timezone", "Moon/Base"),
        ("--where", "model"),
        ("--workers", "0"),
        ("--max-unpriced", "101"),
        ("--prices", "not-a-version"),
        ("--prices-override", "nowhere.toml"),
        ("--cost-source", "guessed"),
        ("--dialect", "klingon"),
        ("--mapping", "nowhere.toml"),
        ("--nonsense",),
    ],
)
def test_words_that_make_no_sense_exit_2_and_write_nothing(log: Path, out: Path, flags: tuple[str, ...]) -> None:
    finished = callcost("report", log, "--out", out, *flags)
    assert finished.code == 2, finished.stderr
    assert finished.stderr
    assert not out.exists()


def test_no_words_exit_2() -> None:
    assert callcost("report").code == 2


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("--strict",), 3),
        (("--max-unpriced", "0"), 3),
        (("--max-unpriced", "25"), 0),
        (("--max-unpriced", "24.9"), 3),
        (("--max-rejected", "19"), 3),
        (("--max-rejected", "20"), 0),
    ],
)
def test_a_gate_that_is_crossed_exits_3_with_everything_written(
    log: Path, out: Path, flags: tuple[str, ...], code: int
) -> None:
    finished = report([log], out, *flags, expect=code)
    assert len(finished.spend) == 3
    assert any(gate["crossed"] for gate in finished.manifest["gates"]) == (code == 3)


def test_strict_lets_a_clean_log_pass(tmp_path: Path, out: Path) -> None:
    report([write_lines(tmp_path / "clean.jsonl", [_row(1)])], out, "--strict")


def test_stdin_is_a_log(out: Path) -> None:
    finished = report(["-"], out, stdin=json.dumps(_row(1)).encode())
    assert finished.total("calls") == 1


def test_folders_globs_and_files_are_found(tmp_path: Path, out: Path) -> None:
    write_lines(tmp_path / "a/b/one.jsonl", [_row(1)])
    write_lines(tmp_path / "a/two.jsonl", [_row(2)])
    write_lines(tmp_path / "c/three.jsonl", [_row(3)])
    finished = report([tmp_path / "a", tmp_path / "c/*.jsonl"], out)
    assert {entry["path"] for entry in finished.manifest["inputs"]} == {"a/b/one.jsonl", "a/two.jsonl", "three.jsonl"}


def test_two_arguments_of_one_name_are_told_apart(tmp_path: Path, out: Path) -> None:
    one, other = (write_lines(tmp_path / f"{folder}/calls.jsonl", [_row(number)]) for number, folder in enumerate("xy"))
    finished = report([one, other], out)
    assert {entry["path"] for entry in finished.manifest["inputs"]} == {"calls.jsonl", "calls.jsonl#2"}
    assert finished.total("calls") == 2


def test_an_interval_is_half_open_in_its_time_zone(tmp_path: Path, out: Path) -> None:
    rows = [
        _row(n, timestamp=t)
        for n, t in enumerate(
            [
                "2025-01-01T22:59:59Z",
                "2025-01-01T23:00:00Z",
                "2025-01-02T22:59:59Z",
                "2025-01-02T23:00:00Z",
                "who knows",
            ]
        )
    ]
    log = write_lines(tmp_path / "days.jsonl", rows)
    finished = report(
        [log], out, "--since", "2025-01-02", "--until", "2025-01-03", "--timezone", "Europe/Berlin", "--by", "day"
    )
    assert [(row["day"], row["calls"]) for row in finished.spend] == [("2025-01-02", "2")]
    assert finished.records["filtered"] == 3


def test_periods_are_labelled_in_their_time_zone(tmp_path: Path, out: Path) -> None:
    log = write_lines(
        tmp_path / "one.jsonl", [_row(1, timestamp="2024-12-31T23:30:00Z"), _row(2, timestamp="who knows")]
    )
    rows = report([log], out, "--by", "day,week,month", "--timezone", "Asia/Tokyo").spend
    assert [(row["day"], row["week"], row["month"]) for row in rows] == [
        ("2025-01-01", "2024-12-30", "2025-01"),
        ("", "", ""),
    ]


def test_a_cell_that_a_spreadsheet_would_run_is_guarded(tmp_path: Path, out: Path) -> None:
    users = ["=1+1", "+49", "-x", "@you", "\tx", "\rx", "plain=1"]
    finished = report(
        [write_lines(tmp_path / "users.jsonl", [_row(n, user) for n, user in enumerate(users)])], out, "--by", "user"
    )
    assert {row["user"] for row in finished.spend} == {"'=1+1", "'+49", "'-x", "'@you", "'\tx", "'\rx", "plain=1"}
    assert set(pl.read_parquet(out / "spend.parquet")["user"]) == set(users)


def test_an_unknown_user_is_null(tmp_path: Path, out: Path) -> None:
    finished = report([write_lines(tmp_path / "one.jsonl", [_row(1, None)])], out)
    assert finished.spend[0]["user"] == ""
    assert pl.read_parquet(out / "spend.parquet")["user"].to_list() == [None]


def test_an_explicit_zero_is_not_null(tmp_path: Path, out: Path) -> None:
    rows = [_row(1, usage={"prompt_tokens": 0, "completion_tokens": 5})]
    row = report([write_lines(tmp_path / "one.jsonl", rows)], out).spend[0]
    assert (row["prompt_tokens"], row["cache_read_input_tokens"], Decimal(row["input_cost"])) == ("0", "", Decimal(0))


@pytest.mark.parametrize("source", ["computed", "logged", "auto"])
def test_the_cost_source_can_be_the_log(out: Path, source: str) -> None:
    finished = report(
        [SAMPLES / "litellm/spend-2025-03.parquet"], out, "--cost-source", source, "--by", "source_format"
    )
    (row,) = finished.spend
    if source == "computed":
        assert row["total_cost"] != row["logged_cost"]
    if source == "logged":
        assert row["total_cost"] == row["logged_cost"]


def test_parts_of_a_sum_stand_beside_it(tmp_path: Path, out: Path) -> None:
    cached = [{"cached_tokens": 4}, {"cached_tokens": 5}]
    usages = [{"prompt_tokens": 10, "completion_tokens": 1, "prompt_tokens_details": details} for details in cached]
    rows = [*[_row(1)] * 3, _row(2), *[_row(n, "bo", usage=usage) for n, usage in enumerate(usages)]]
    log = write_lines(tmp_path / "rows.jsonl", rows)
    ana, bo = report([log], out, "--by", "user").spend
    assert Decimal(ana["duplicate_cost"]) * 2 == Decimal(ana["total_cost"])  # two of four repeat the first
    assert (ana["cache_hit_rate"], bo["cache_hit_rate"], bo["duplicate_cost"]) == ("", "0.45", "0")
    assert Decimal(bo["cache_savings_cost"]) == 9 * Decimal("0.00000125")
    (whole,) = report([log], out, "--by", "model").spend
    assert whole["cache_hit_rate"] == report([log], out).manifest["totals"]["cache_hit_rate"]


def test_an_hour_is_written_with_its_offset(tmp_path: Path, out: Path) -> None:
    log = write_lines(tmp_path / "one.jsonl", [_row(1, timestamp="2026-10-20T10:30:00Z")])
    (row,) = report([log], out, "--by", "hour", "--timezone", "Europe/Berlin").spend
    assert row["hour"] == "2026-10-20T12:00+02:00"


def test_a_tag_is_a_group(out: Path) -> None:
    rows = report([SAMPLES / "pairs-2026-11.jsonl"], out, "--by", "tag:env").spend
    assert {row["tag:env"]: row["calls"] for row in rows} == {"prod": "2", "test": "2", "": "5"}


def test_a_folder_that_cannot_be_written_is_a_failure(log: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    finished = callcost("report", log, "--out", tmp_path / "taken/reports")
    assert finished.code in {1, 2}
    assert "taken" in finished.stderr


def test_the_environment_gives_options_and_flags_win(log: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLCOST_REPORT_BY", "user")
    callcost("report", log, "--out", out)
    assert list(Finished((), 0, "", "", out).spend[0])[:2] == ["user", "calls"]
    callcost("report", log, "--out", out, "--by", "model")
    assert list(Finished((), 0, "", "", out).spend[0])[:2] == ["model", "calls"]


def test_the_report_folder_holds_no_leftovers(log: Path, out: Path) -> None:
    report([log], out)
    assert not [path for path in out.iterdir() if path.name.startswith(".") or path.suffix == ".callcost-tmp"]


def test_without_a_folder_the_table_alone_is_printed(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = callcost("report", log, "--by", "user,day")
    assert done.code == 0
    titles, *rows = done.stdout.splitlines()
    assert titles.split() == ["user", "day", "calls", "prompt", "completion", "cost", "share", "per", "call"]
    assert [row.split()[0] for row in rows] == ["ana.silva", "bo.larsen"]
    assert rows[0].split()[-3:] == ["$0.007000", "66.7%", "$0.003500"]
    assert done.stderr.startswith("4 calls: $")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calls.jsonl"]
    for flags in (("--calls",), ("--format", "csv"), ("--state", "state"), ("--table", "delta")):
        assert callcost("report", log, *flags).code == 2


@pytest.mark.parametrize("kind", ["csv", "json", "markdown"])
def test_one_format_goes_to_stdout_as_it_goes_to_a_file(log: Path, out: Path, kind: str) -> None:
    report([log], out, "--format", kind)
    (file,) = out.glob("spend.*")
    done = callcost("report", log, "--format", kind, "--out", "-")
    assert done.stdout == file.read_text(encoding="utf-8")
    assert done.code == 0
    assert callcost("report", log, "--out", "-", "--quiet").stdout.startswith("model,user,calls,")


def test_a_table_of_markdown_is_one_whatever_the_names_are(tmp_path: Path) -> None:
    names = ["a|b", "*x*", "`y`", "l\nl", "<b>", "_u_", "snake_case", "[z](http://z)"]
    log = write_lines(tmp_path / "a.jsonl", [_row(n, name) for n, name in enumerate(names)])
    lines = callcost("report", log, "--by", "user", "--format", "markdown", "--out", "-").stdout.splitlines()
    assert len(lines) == 2 + len(names)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {1 + len(lines[0].split(" | "))}
    cells = {line.split(" | ")[0].removeprefix("| ") for line in lines[2:]}
    assert {r"a\|b", r"\*x\*", r"\`y\`", "l l", "&#60;b&#62;", r"\_u\_", "snake_case"} < cells


def test_groups_are_sorted_by_any_column_and_periods_stand_in_their_order(tmp_path: Path, out: Path) -> None:
    days = [_row(n, "ana", timestamp=f"2025-03-0{3 - n}T08:00:00Z") for n in range(3)]
    more = [_row(9 + n, "bo", timestamp="2025-03-02T09:00:00Z") for n in range(2)]
    log = write_lines(tmp_path / "days.jsonl", [*days, *more])
    shown = callcost("report", log, "--by", "user,day").stdout.splitlines()[1:]
    assert [line.split()[:2] for line in shown] == [
        ["ana", "2025-03-01"], ["bo", "2025-03-02"], ["ana", "2025-03-02"], ["ana", "2025-03-03"],
    ]  # fmt: skip
    assert report([log], out, "--by", "user,day").spend[0]["user"] == "bo"  # files go by cost, as ever
    assert [row["day"][-1] for row in report([log], out, "--by", "day", "--sort", "day").spend] == ["1", "2", "3"]
    assert [row["user"] for row in report([log], out, "--by", "user", "--sort", "calls").spend] == ["ana", "bo"]
    assert [row["user"] for row in report([log], out, "--by", "user", "--sort", "user").spend] == ["ana", "bo"]


def test_a_workbook_has_its_sheets_and_says_the_same_each_time(tmp_path: Path, out: Path) -> None:
    pytest.importorskip("xlsxwriter")
    rows: list[dict[str, Any] | bytes] = [_row(1, "=HYPERLINK(1)"), _row(2, "bo"), _row(3, "bo", "acme-llm-9"), b"{"]
    log = write_lines(tmp_path / "calls.jsonl", rows)
    first = (report([log], out, "--format", "xlsx", "--by", "user").out / "spend.xlsx").read_bytes()
    assert (report([log], out, "--format", "xlsx", "--by", "user").out / "spend.xlsx").read_bytes() == first
    with zipfile.ZipFile(io.BytesIO(first)) as book:
        texts = {name: book.read(name).decode() for name in book.namelist() if name.endswith(".xml")}
    names = re.findall(r'<sheet name="(\w+)"', texts["xl/workbook.xml"])
    assert names == ["summary", "spend", "days", "models", "quality"]
    assert "=HYPERLINK(1)" in texts["xl/sharedStrings.xml"]
    assert not any("<f>" in text for text in texts.values())
    assert "0.0070" in texts["xl/worksheets/sheet2.xml"] or "0.0035" in texts["xl/worksheets/sheet2.xml"]
    assert "#,##0" in texts["xl/styles.xml"]
    flags = ("--format", "xlsx", "--by", "user", "--out", "-", "--quiet")
    words, env = [sys.executable, "-m", "callcost", "report", str(log), *flags], {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(words, capture_output=True, check=True, env=env, timeout=300).stdout == first


def test_a_report_with_a_state_writes_a_workbook_too(log: Path, tmp_path: Path) -> None:
    pytest.importorskip("xlsxwriter")
    words = ("report", log, "--state", tmp_path / "state", "--out", tmp_path / "out", "--format", "xlsx,csv,markdown")
    assert callcost(*words).code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"spend.xlsx", "spend.csv", "spend.md"}
    plain = report([log], tmp_path / "plain", "--format", "csv,markdown")
    for name in ("spend.csv", "spend.md"):
        assert (tmp_path / "out" / name).read_bytes() == (plain.out / name).read_bytes()
