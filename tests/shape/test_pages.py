"""The README and the pages in docs/ are true: their commands run, and what they print is what they show."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import click
import pytest

from callcost import ReportOptions
from callcost.cli.root import callcost as callcost_group
from callcost.logs.dialects import field_readers
from callcost.prices.book.catalog import load_catalog
from callcost.stages.analysis.budgets import settle_budgets
from tests.command import ROOT, callcost, on_a_terminal, report, write_lines
from tests.shape.pages import BLOCKS, PAGES, PROSE, README, blocks, command_lines

DOCS = ROOT / "docs"

MAIN, TESTS = blocks("sh")


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
    assert (
        TESTS
        == "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/python -m pytest -n auto"
    )


def test_the_main_command_prints_what_the_readme_shows(tmp_path: Path) -> None:
    (tmp_path / "sample_logs").symlink_to(ROOT / "sample_logs")
    code, seen = _left_on_a_terminal([*shlex.split(MAIN.split(" && ")[-1])[1:]], tmp_path)

    assert code == 0
    if seen not in README:
        (ROOT / "tests/golden/actual").mkdir(exist_ok=True)
        (ROOT / "tests/golden/actual/terminal.txt").write_text(seen, encoding="utf-8")
    assert seen.splitlines() == blocks("text", page="README.md")[0].splitlines()


def test_a_quiet_terminal_and_a_quiet_pipe_see_nothing(tmp_path: Path, out: Path) -> None:
    log = ROOT / "sample_logs/plain-2025-04.jsonl.gz"
    assert _left_on_a_terminal(["report", log, "--out", tmp_path / "quiet", "--quiet"], tmp_path) == (0, "")
    finished = report([log], out, "--quiet")
    assert (finished.stdout, finished.stderr) == ("", "")


def test_the_readme_is_short_and_says_first_what_matters() -> None:
    lines = README.splitlines()
    assert len(lines) < 200
    first_screen = "\n".join(lines[:20])
    for word in ("Offline", "Dated", "Exact", "Few dependencies"):
        assert f"**{word}.**" in first_screen


def test_the_figures_of_the_first_screen_hold() -> None:
    versions = load_catalog().versions
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    dependencies = tomllib.loads(text)["project"]["dependencies"]
    assert len([name for name in dependencies if "sys_platform" not in name]) == 13
    assert [name for name in dependencies if not re.search(rf'"{re.escape(name)}", +# \S', text)] == []
    assert "thirteen packages of its own choice, each with a reason" in " ".join(README.split())
    assert len(versions) > 100
    assert "over 100 cost maps, from October 2023 on" in README
    first = versions[0].effective_text[:10]
    assert f"More than 100 versions, from {first} on," in " ".join(PROSE[DOCS / "prices.md"].split())


def test_links_between_pages_lead_somewhere() -> None:
    for page, prose in PROSE.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            if target.startswith("https://"):
                continue
            name, _, anchor = target.partition("#")
            linked = (page.parent / name).resolve() if name else page
            assert linked.is_file(), f"{page.name}: {target}"
            titles = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), flags=re.MULTILINE) if anchor else []
            assert not anchor or anchor in {_anchor_of(title) for title in titles}, f"{page.name}: {target}"


def _anchor_of(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def test_files_that_a_page_names_are_there() -> None:
    places = [ROOT, ROOT / "pipeline/callcost", ROOT / "pipeline/callcost/logs", ROOT / "pipeline/callcost/tokens"]
    for page, prose in PROSE.items():
        for name in re.findall(r"`((?:\w+/)+[\w.]+\.(?:py|toml|json|jsonl))`", prose):
            assert any((place / name).exists() for place in places), f"{page.name}: {name}"


def test_every_page_is_linked_from_the_readme() -> None:
    for page in PAGES[1:]:
        assert f"]({page.relative_to(ROOT).as_posix()})" in README, page.name


def test_every_kind_of_block_has_a_test_that_reads_it() -> None:
    assert {block.kind for block in BLOCKS} == {
        *("sh", "text", "toml", "python", "python3"),  # here
        *("cron", "ini", "py", "yaml"),  # in test_nightly_page.py
        "sql",  # in tests/jobs/test_export_prices.py
        "bash",  # in test_guides.py
    }


@pytest.mark.parametrize("line", command_lines())
def test_a_command_that_a_page_shows_is_one(line: str) -> None:
    """Its verb is there, and so is each of its options."""
    words = shlex.split(line)
    command: click.Command = callcost_group
    context = click.Context(command, **command.context_settings)
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None, line
        command, context = found, click.Context(found, parent=context)
    command.make_parser(context).parse_args(words)


@pytest.mark.parametrize("line", [line for line in command_lines() if line.startswith(("prices ", "tokens count"))])
def test_commands_of_the_pages_that_need_no_logs_run(line: str) -> None:
    if line == "prices pull" or line.startswith("prices export"):  # one speaks HTTP: tests/net/test_price_maps.py
        return  # the other writes a file: tests/jobs/test_export_prices.py
    finished = callcost(*shlex.split(line))
    assert finished.code == 0, finished.stderr
    assert finished.stdout


def test_every_option_of_the_pages_is_one() -> None:
    known = {option for _, command in _commands() for parameter in command.params for option in parameter.opts}
    of_others = {  # of tools, tests.bench, tests.mutants and mypy
        *("--master", "--port", "--analytics-log", "--size", "--sample", "--strict", "--output")
    }
    for page, prose in PROSE.items():
        for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", prose)) - of_others:
            assert option in known | {"--help"}, f"{page.name}: {option}"


def _commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its words, in the order of the help."""
    waiting: list[tuple[str, click.Command]] = [("callcost", callcost_group)]
    while waiting:
        words, command = waiting.pop(0)
        yield words, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            found = ((name, command.get_command(context, name)) for name in command.list_commands(context))
            waiting += [(f"{words} {name}", one) for name, one in found if one is not None]


def test_the_page_of_commands_holds_the_help_of_each() -> None:
    """What differs is how lines are broken, if anything: that depends on the version of click."""
    parts = ["# Commands\n\nWhat `callcost COMMAND --help-all` says, or `--help` where there is no more.\n"]
    for words, command in _commands():
        flag = next((name for one in command.params for name in one.opts if name == "--help-all"), "--help")
        text = callcost(*words.split()[1:], flag).stdout.rstrip()
        parts.append(f"## {words}\n\n```text\n{text}\n```\n")
    page = "\n".join(parts)
    if page.split() != PROSE[DOCS / "commands.md"].split():
        (ROOT / "tests/golden/actual").mkdir(exist_ok=True)
        (ROOT / "tests/golden/actual/commands.md").write_text(page, encoding="utf-8")
    assert page.split() == PROSE[DOCS / "commands.md"].split(), "tests/golden/actual/commands.md is what it should be"


def test_the_page_of_dialects_has_a_row_for_each() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PROSE[DOCS / "dialects.md"], flags=re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(reader.dialect.name for reader in field_readers() if not reader.dialect.refusal)


def test_the_picture_names_rooms_that_are_there() -> None:
    for room in re.findall(r"^ {2}(\w+[/.]\S*)", blocks("text", page="architecture.md")[1], flags=re.MULTILINE):
        assert (ROOT / "pipeline/callcost" / room).exists(), room
    for room in re.findall(r"\w+/\w+(?= {2})", blocks("text", page="architecture.md")[0]):
        assert (ROOT / "pipeline/callcost" / room).is_dir(), room


def test_the_mapping_of_the_readme_reads_its_logs(tmp_path: Path, out: Path) -> None:
    mapping = tmp_path / "mapping.toml"
    (text,) = blocks("toml", having="[columns]")
    mapping.write_text(text, encoding="utf-8")
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
    assert (call["logged_cost"], call["tags"]) == (Decimal("0.0025"), [("env", "prod")])
    assert call["price_status"] == "priced"
    assert finished.records["fragments"] == 1  # it states tokens, so it is no context


def test_the_override_of_the_readme_is_understood(tmp_path: Path, out: Path) -> None:
    override = tmp_path / "own.toml"
    (text,) = blocks("toml", having="[rates.")
    override.write_text(text, encoding="utf-8")
    report([ROOT / "sample_logs/plain-2025-04.jsonl.gz"], out, "--prices-override", override)


def test_the_budgets_of_the_page_are_understood(tmp_path: Path) -> None:
    path = tmp_path / "budgets.toml"
    (text,) = blocks("toml", having="[[budget]]")
    path.write_text(text, encoding="utf-8")
    assert [budget.name for budget in settle_budgets(str(path))] == ["month", "team a, gpt", "day of tag:env=prod"]


def test_every_block_of_toml_is_read_by_a_test() -> None:
    read = ("[columns]", "[rates.", "[[budget]]")
    assert len(blocks("toml")) == sum(len(blocks("toml", having=words)) for words in read)


@pytest.mark.parametrize("page", sorted({block.page.name for block in BLOCKS if block.kind == "python"}))
def test_the_python_of_a_page_runs(page: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(blocks("python", page=page))],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ana.silva" in done.stdout if page == "README.md" else done.stdout


def test_the_python_that_needs_a_cluster_means_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run but for the report: what it would do is asked of Spark and the store that the page names."""
    (text,) = blocks("python3")
    asked: list[ReportOptions] = []
    monkeypatch.setattr("callcost.report_spend", asked.append, raising=False)
    exec(compile(text, "docs/spark.md", "exec"), {})
    (options,) = asked
    assert (options.work.executor, options.work.work_dir) == ("spark", "s3://bucket/callcost")
    assert (options.logs, options.out) == (("s3://bucket/logs",), "s3://bucket/reports")


def test_the_check_runs_the_command_of_the_readme() -> None:
    """.ci/run takes both commands from this file, so they cannot drift apart."""
    run = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert "readme_command 1" in run
    assert "readme_command 2" in run
