"""A folder keeps files in the same way whether it is on a disk or in an object store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from callcost.logs.io.folders import Folder, folder_at
from tests.stores import make_bucket, serving_moto


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving_moto() as endpoint:
        yield endpoint


@pytest.fixture(params=["disk", "store"])
def folder(
    server: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Folder:
    """An empty folder of the test's own."""
    if request.param == "disk":
        return folder_at(str(tmp_path / "kept"))
    return folder_at(make_bucket(server, f"b{abs(hash(request.node.nodeid))}", monkeypatch).url("kept"))


def test_files_are_named_by_their_path_below_in_order(folder: Folder) -> None:
    for name in ("b/c.json", "a-b", "b/a", "a/b"):
        folder.write(name, name.encode())
    assert folder.names("") == ["a-b", "a/b", "b/a", "b/c.json"]
    assert folder.names("b") == ["b/a", "b/c.json"]
    assert folder.names("none") == []
    assert folder.read_all(["a/b", "none", "b/a"]) == [b"a/b", None, b"b/a"]
    assert {name: file.bytes for name, file in folder.files("b").items()} == {"b/a": 3, "b/c.json": 8}


def test_a_file_that_changed_has_another_version_and_one_that_is_gone_none(folder: Folder) -> None:
    first = folder.write("a", b"one")
    assert folder.versions(["a", "none"]) == {"a": first}
    assert folder.write("a", b"three") != first
    folder.remove(["a", "none"])
    assert folder.versions(["a"]) == {}


def test_of_many_who_create_a_file_one_does(folder: Folder) -> None:
    assert folder.create("deep/a", b"one")
    assert not folder.create("deep/a", b"two")
    assert folder.read("deep/a") == b"one"
    assert folder.names("") == ["deep/a"]


def test_a_folder_of_files_is_added_once_and_read_where_it_is_wanted(folder: Folder, tmp_path: Path) -> None:
    for made in (tmp_path / "made", tmp_path / "again"):
        made.mkdir()
        for name in ("last", "part"):
            (made / name).write_text(f"{made.name} {name}")
    folder.add_folder(tmp_path / "made", "inputs/1", last="last")
    with pytest.raises(OSError, match="inputs/1"):
        folder.add_folder(tmp_path / "again", "inputs/1", last="last")
    folder.make_local({"inputs/1/part": tmp_path / "here"})
    assert (tmp_path / "here").read_text() == "made part"


def test_what_is_kept_of_a_local_folder_is_below_and_no_more_is_left(folder: Folder) -> None:
    with folder.open_local("tried/1") as here:
        (here / "facts").write_bytes(b"facts")
        place = folder.keep(here / "facts", "tried/1")
    with folder.open_local("tried/2"):
        pass
    assert place == f"{folder.place}/tried/1/facts"
    assert folder.names("") == ["tried/1/facts"]
    assert folder.read("tried/1/facts") == b"facts"
    folder.remove(["tried/1/facts"])
    assert folder.path is None or [path.name for path in folder.path.rglob("*")] == []
