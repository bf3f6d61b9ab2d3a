"""The checks of .ci are what they say they are."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.command import ROOT
from tests.shape.pages import blocks


def test_every_worker_of_the_test_runner_runs_the_size_that_was_asked_for(
    request: pytest.FixtureRequest, *, long_run: bool
) -> None:
    told = getattr(request.config, "workerinput", None)
    if told is None:
        pytest.skip("there are no workers: run with -n")
    assert told["long"] == long_run


def test_workflows_and_the_action_pass_actionlint(tmp_path: Path) -> None:
    """Ours, the one that docs/nightly.md shows, and one that uses the action with all its inputs."""
    actionlint = shutil.which("actionlint")
    if actionlint is None:
        pytest.skip("actionlint is not installed")
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    (tmp_path / ".git").mkdir()  # where actionlint looks for a repository
    (shown,) = blocks("yaml")
    (tmp_path / ".github/workflows/shown.yml").write_text(shown, encoding="utf-8")
    action = yaml.safe_load((ROOT / ".github/actions/nightly/action.yml").read_text(encoding="utf-8"))
    step = {"uses": "./.github/actions/nightly", "with": dict.fromkeys(action["inputs"], "x")}
    steps = [{"uses": "actions/checkout@v5"}, step]
    user = {"on": "push", "jobs": {"use": {"runs-on": "ubuntu-latest", "steps": steps}}}
    (tmp_path / ".github/workflows/user.yml").write_text(yaml.safe_dump(user), encoding="utf-8")
    done = subprocess.run([actionlint, "-no-color"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
