"""What every test stands on: the two sizes of the long checks, a clean environment, and a report of the samples."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.command import SAMPLES, Finished, report

LONG = os.environ.get("CALLCOST_LONG") == "1"  # left there: pytest-xdist's workers ask, too

if LONG:
    os.environ.setdefault("PYTEST_TIMEOUT", "3600")  # seconds of one test: two hundred kills take long

LARGE = [HealthCheck.too_slow, HealthCheck.data_too_large]  # as laws are that draw whole records
settings.register_profile("ci", deadline=None, derandomize=True, suppress_health_check=LARGE)
settings.register_profile("long", settings.get_profile("ci"), derandomize=False, max_examples=1000)
settings.load_profile("long" if LONG else "ci")


def examples(ordinary: int, nightly: int = 1000) -> settings:
    """Return how many examples a slow law draws in the ordinary run, and in the nightly one."""
    return settings(max_examples=nightly if LONG else ordinary)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell each of pytest-xdist's workers which size it should have; tests/shape/test_ci.py looks whether it has it."""
    node.workerinput["long"] = LONG


@pytest.fixture(autouse=True, scope="session")
def own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads the options or the price versions of the person who runs it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("CALLCOST_")]:
            patch.delenv(name)
        patch.setenv("CALLCOST_DATA_DIR", str(tmp_path_factory.mktemp("user-data")))
        patch.setenv("CALLCOST_CACHE_DIR", str(tmp_path_factory.mktemp("user-cache")))
        patch.setenv("CALLCOST_NO_CACHE", "1")  # what one test patched answers no other
        yield


@pytest.fixture(autouse=True, scope="session")
def stopped_by_signals() -> None:
    """Commands that tests start can be stopped, also where the tests run in the background or under nohup.

    What is ignored here would be ignored there, too.
    """
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="module")
def columns_for_all() -> Iterator[None]:
    """The smallest log is read by columns, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("callcost.stages.columnar.stretches.COLUMN_BYTES", 0)
        patch.setattr("callcost.stages.columnar.stretches.LEARN_BYTES", 0)
        yield


@pytest.fixture(scope="module")
def scanned_for_all(columns_for_all: None) -> Iterator[None]:
    """The smallest log is scanned, where the scanner is installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("callcost.stages.columnar.jsonl.DECODED_LINES", 0)
        patch.setattr("callcost.stages.columnar.jsonl.SCANNED_FROM", 0)
        yield


@pytest.fixture(scope="session")
def long_run() -> bool:
    """Whether the long checks run at full size (CALLCOST_LONG=1)."""
    return LONG


@pytest.fixture(scope="session")
def sample_report(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The command's own report of sample_logs with every output it can write, made once."""
    out = tmp_path_factory.mktemp("samples") / "reports"
    return report([SAMPLES], out, "--calls", "--format", "parquet,csv,json", apart=True)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder for reports that does not exist yet."""
    return tmp_path / "reports"
