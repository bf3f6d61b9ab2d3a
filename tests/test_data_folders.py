"""A user's own folders: where the environment says, below their home, or in the installation where there is no home."""

from __future__ import annotations

import pwd
import sys
from pathlib import Path

import pytest

from callcost.data_folders import user_cache_dir, user_data_dir


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CALLCOST_DATA_DIR", "CALLCOST_CACHE_DIR", "CALLCOST_NO_CACHE", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_environment_goes_before_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folders = (user_data_dir(), user_cache_dir())
    assert all(folder is not None and folder.is_relative_to(tmp_path) for folder in folders)
    monkeypatch.setenv("CALLCOST_DATA_DIR", "data")
    monkeypatch.setenv("CALLCOST_NO_CACHE", "1")
    assert (user_data_dir(), user_cache_dir()) == (Path("data"), None)


def test_who_has_no_home_has_the_folders_of_the_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a container's process has none that runs under a number that its system does not know."""

    def refuse(number: int) -> None:
        raise KeyError(number)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", refuse)
    assert user_data_dir() == Path(sys.prefix, "share/callcost/data")
    assert user_cache_dir() == Path(sys.prefix, "share/callcost/cache")
