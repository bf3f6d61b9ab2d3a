"""The nightly jobs of docs/nightly.md are jobs: each snippet is read as by what it is for, and its command runs."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command import ROOT, SAMPLES
from tests.shape.pages import blocks

HOME = "/srv/callcost"
SCRIPT = f'#!/bin/sh\nexec "{sys.executable}" -m callcost "$@"\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """What stands for /srv/callcost: an environment with the command, and logs of tonight."""
    (tmp_path / "logs").mkdir()
    command = tmp_path / ".venv/bin/callcost"
    command.parent.mkdir(parents=True)
    _script(command, SCRIPT)
    row = json.loads((SAMPLES / "openai/chat-2024-07.jsonl").read_text(encoding="utf-8").splitlines()[0])
    (tmp_path / "logs/tonight.jsonl").write_text(json.dumps(row | {"created": 4_000_000_000}), encoding="utf-8")
    return tmp_path


def _script(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _run(command: str, cwd: Path, **env: str) -> None:
    """Run a shell command as the job would, and check that it left its report."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr


def _assert_reported(home: Path) -> None:
    manifest = json.loads((home / "reports/manifest.json").read_bytes())
    assert manifest["records"]["calls"] == 1
    assert (home / "state/ledger.json").is_file()


def test_every_job_notices_logs_that_stopped_coming() -> None:
    jobs = [block for kind in ("cron", "ini", "py", "yaml") for block in blocks(kind) if " --state state" in block]
    assert len(jobs) == 4
    assert [block for block in jobs if "--fresh-within 26h" not in block] == []


def test_the_line_of_cron_runs_at_a_time_and_reports(home: Path) -> None:
    (line,) = blocks("cron")
    *fields, command = line.split(maxsplit=5)
    for field, (least, most) in zip(fields, ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7)), strict=True):
        assert field == "*" or least <= int(field) <= most
    assert "%" not in command, "cron takes it for the end of the line"
    _run(command.replace(HOME, str(home)), Path("/"))
    _assert_reported(home)


class _Unit(configparser.ConfigParser):
    def optionxform(self, optionstr: str) -> str:
        return optionstr  # names of systemd have capitals


def _unit(text: str) -> _Unit:
    unit = _Unit(interpolation=None)
    unit.read_string(text)
    return unit


def test_the_units_of_systemd_are_verified_and_their_command_reports(home: Path, tmp_path: Path) -> None:
    units = {re.findall(r"\S+/(callcost\.\w+)", block)[0]: block for block in blocks("ini")}
    assert set(units) == {"callcost.service", "callcost.timer"}
    service, timer = _unit(units["callcost.service"])["Service"], _unit(units["callcost.timer"])["Timer"]
    assert (service["Type"], service["WorkingDirectory"]) == ("oneshot", HOME)
    assert timer["OnCalendar"].endswith("03:15:00")
    _run(service["ExecStart"].replace(HOME, str(home)), home)
    _assert_reported(home)
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return
    for name, text in units.items():
        (tmp_path / name).write_text(text.replace(HOME, str(home)), encoding="utf-8")
    paths = [str(tmp_path / name) for name in units]
    verified = subprocess.run([analyze, "verify", *paths], capture_output=True, text=True, timeout=60, check=False)
    assert [line for line in verified.stderr.splitlines() if "callcost" in line] == []
    calendar = subprocess.run([analyze, "calendar", timer["OnCalendar"]], capture_output=True, timeout=60, check=False)
    assert calendar.returncode == 0


def test_the_dag_of_airflow_makes_one_task_whose_command_reports(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks: list[dict[str, Any]] = []

    class Dag:
        def __init__(self, dag_id: str, **more: Any) -> None:
            assert (dag_id, more["catchup"], more["max_active_runs"]) == ("callcost", False, 1)
            assert len(more["schedule"].split()) == 5

        def __enter__(self) -> Dag:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    def operator(**words: Any) -> None:
        tasks.append(words)

    names = ["airflow", "providers", "standard", "operators", "bash"]
    for size in range(1, len(names) + 1):
        monkeypatch.setitem(sys.modules, ".".join(names[:size]), types.ModuleType(".".join(names[:size])))
    vars(sys.modules["airflow"])["DAG"] = Dag
    vars(sys.modules[".".join(names)])["BashOperator"] = operator
    (text,) = blocks("py")
    exec(compile(text, "docs/nightly.md", "exec"), {})

    (task,) = tasks
    assert task["cwd"] == HOME
    _run(task["bash_command"].replace("{{ run_id }}", "scheduled__2026-11-01T03:15:00+00:00"), home)
    _assert_reported(home)
    manifest = json.loads((home / "reports/manifest.json").read_bytes())
    assert manifest["run"]["id"] == "scheduled__2026-11-01T03:15:00+00:00"


def test_the_workflow_of_github_is_one_and_its_commands_run(home: Path) -> None:
    (text,) = blocks("yaml")
    workflow = yaml.safe_load(text)
    on = workflow[True]  # how YAML reads the word
    assert len(on["schedule"][0]["cron"].split()) == 5
    (job,) = workflow["jobs"].values()
    for step in job["steps"]:
        assert set(step) <= {"uses", "with", "run", "if"}
        assert ("uses" in step) != ("run" in step)
    kept = next(step["with"]["path"].split() for step in job["steps"] if "cache" in step.get("uses", ""))
    tools = home / "tools"
    tools.mkdir()
    _script(tools / "callcost", SCRIPT)
    for name in ("aws", "pip"):
        _script(tools / name, f'#!/bin/sh\necho "{name} $@" >> {shlex.quote(str(home / "done"))}\n')
    for step in job["steps"]:
        if "run" in step:
            _run(step["run"], home, PATH=f"{tools}:{os.environ['PATH']}")
    _assert_reported(home)
    assert (home / "done").read_text(encoding="utf-8").split()[0] == "aws"
    assert set(kept) == {"logs", "state", "reports"}
