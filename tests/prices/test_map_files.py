"""A map comes as JSON, in a wheel or from the web, and nothing else is taken for one."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from callcost.errors import PriceError
from callcost.net.price_maps import add_file
from callcost.prices.book import catalog as catalogs
from callcost.prices.book.archive import microseconds
from callcost.prices.book.catalog import add_map, build_catalog, load_catalog, user_prices
from callcost.prices.book.cost_map import split_map
from callcost.prices.upstream import map_files
from callcost.prices.upstream.map_files import read_map_file
from tests.net.server import sends, serving

MAP = json.dumps({f"model-{n}": {"input_cost_per_token": 1e-6} for n in range(20)}).encode()
BACKUP = "litellm/model_prices_and_context_window_backup.json"
METADATA = "litellm-1.110.0.dist-info/METADATA"


def wheel(files: dict[str, bytes]) -> bytes:
    """Return a wheel that holds these files; without the time, since each worker of a run names its tests by it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


RELEASE = wheel({"litellm/__init__.py": b"", BACKUP: MAP, METADATA: b"Name: litellm"})


class Unseekable(io.BytesIO):
    """What comes through a pipe."""

    def seekable(self) -> bool:
        return False


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundled history of one version, and an empty user folder."""
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "data" / "prices"
    first = split_map(MAP.replace(b"1e-06", b"2e-06"))
    add_map(first, name="first", effective_from=microseconds("2025-01-01"), source="here", folder=folder)
    monkeypatch.setattr(catalogs, "data_dir", lambda: tmp_path / "data")
    monkeypatch.setenv("CALLCOST_DATA_DIR", str(tmp_path / "user"))
    return folder


@pytest.mark.parametrize("kind", [io.BytesIO, Unseekable])
@pytest.mark.parametrize(("content", "release"), [(MAP, None), (RELEASE, ("litellm", "1.110.0"))])
def test_a_map_is_read_as_it_is_and_out_of_a_wheel(kind: Any, content: bytes, release: tuple[str, str] | None) -> None:
    assert read_map_file(kind(content), "the file") == (MAP, release)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (wheel({"litellm/__init__.py": b""}), "the file holds no cost map"),
        (wheel({BACKUP: MAP, "other/model_prices_and_context_window.json": MAP}), "the file holds 2 cost maps"),
        (RELEASE[:200], "the file cannot be unpacked"),
        (RELEASE.replace(b"model", b"mOdel", 1), "the file cannot be unpacked"),
    ],
)
def test_a_wheel_that_is_none_is_refused_by_name(content: bytes, why: str) -> None:
    with pytest.raises(PriceError, match=why) as caught:
        read_map_file(io.BytesIO(content), "the file")
    assert "Give a wheel of LiteLLM" in caught.value.hint


@pytest.mark.parametrize("content", [MAP, RELEASE])
def test_a_map_is_read_up_to_a_size_whatever_it_is_said_to_have(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(map_files, "MAX_BYTES", len(MAP) - 1)
    with pytest.raises(PriceError, match="has more than 0 MiB"):
        read_map_file(io.BytesIO(content), "the file")


def test_a_wheel_names_its_version_and_is_known_from_now_on(bundled: Path, tmp_path: Path) -> None:
    path = tmp_path / "litellm.whl"
    path.write_bytes(RELEASE)
    moment = microseconds("2025-06-01")
    with path.open("rb") as file:
        added = add_file(file, effective_from=moment)
    version = load_catalog().newest
    assert (added.version, version.name, version.source) == ("litellm-1.110.0", "litellm-1.110.0", "litellm 1.110.0")
    assert version.effective_from == moment
    assert version.known_from > microseconds("2026-01-01")
    assert load_catalog().until(microseconds("2025-07-01")).newest.name == "first"
    assert load_catalog().until(version.known_from).newest.effective_from == moment


def test_a_map_is_added_to_the_folder_that_is_named(bundled: Path) -> None:
    before = (bundled / "index.jsonl").read_bytes()
    with serving(sends(RELEASE)) as server:
        add_file(f"{server.url}?token=hush", effective_from=microseconds("2025-06-01"), source=None, folder=bundled)
    assert (bundled / "index.jsonl").read_bytes().startswith(before)
    assert [version.name for version in build_catalog([("user", bundled)]).versions] == ["first", "litellm-1.110.0"]
    assert not user_prices().exists()


def test_what_a_folder_says_already_is_not_added_to_it(bundled: Path) -> None:
    moment = microseconds("2025-06-01")
    assert add_file(io.BytesIO(MAP), effective_from=moment, name="one", folder=bundled).version == "one"
    assert add_file(io.BytesIO(RELEASE), effective_from=moment, folder=bundled).version is None
