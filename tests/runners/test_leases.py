"""A lease in a store is held by one run, outlives no run for long, and needs only objects made where there are none."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from callcost.errors import RunError
from callcost.logs.io.folders import Folder, folder_at
from callcost.runners import leases
from callcost.runners.leases import SECONDS_VARIABLE, hold_lease
from tests.stores import Bucket, make_bucket, serving_moto


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving_moto() as endpoint:
        yield endpoint


@pytest.fixture
def folder(server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A folder in a store, in which a run is dead after three seconds."""
    monkeypatch.setenv(SECONDS_VARIABLE, "3")
    bucket: Bucket = make_bucket(server, f"b{abs(hash(request.node.nodeid))}", monkeypatch)
    return folder_at(bucket.url("state"))


def _numbers(folder: Folder) -> list[int]:
    return [int(name.rpartition("/")[2]) for name in folder.names(".lock")]


def _leave_one(folder: Folder) -> None:
    """Leave the lease of a run that was killed."""
    words = b'{"run_id": "dead", "process": 1, "host": "h", "since": "s", "seconds": 0.4}'
    folder.write(".lock/0000000007", words)


def test_one_run_at_a_time_holds_a_folder(folder: Folder) -> None:
    with hold_lease(folder, "first") as assure:
        said = r"another run works in s3://.*: run first, process"
        with pytest.raises(RunError, match=said), hold_lease(folder, "second"):
            pass
        assure()
    with hold_lease(folder, "second"):
        pass
    assert len(_numbers(folder)) == 1  # says that the folder is free


def test_a_lease_is_renewed_for_as_long_as_its_run_lives(folder: Folder) -> None:
    with hold_lease(folder, "first") as assure:
        first = max(_numbers(folder))
        time.sleep(2.5)
        assure()
        assert max(_numbers(folder)) > first
        assert len(_numbers(folder)) <= 2


def test_the_lease_of_a_dead_run_is_over_when_its_time_is(folder: Folder) -> None:
    _leave_one(folder)
    started = time.monotonic()
    with hold_lease(folder, "next"):
        assert time.monotonic() - started >= 0.4
        assert min(_numbers(folder)) >= 8


def test_of_many_that_find_a_dead_run_one_gets_the_folder(folder: Folder) -> None:
    _leave_one(folder)
    held, errors = [], []

    def hold(name: str) -> None:
        try:
            with hold_lease(folder, name):
                held.append(name)
                time.sleep(2)
                held.append(name)
        except RunError as error:
            errors.append(error)

    threads = [threading.Thread(target=hold, args=(f"run-{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 3
    assert len(held) == 2


def test_a_run_that_lost_its_lease_is_told_before_it_writes(folder: Folder) -> None:
    with hold_lease(folder, "slow") as assure:
        mine = max(_numbers(folder))
        folder.write(f".lock/{mine + 5:010}", b'{"run_id": "other", "seconds": 9}')
        time.sleep(1.8)
        with pytest.raises(RunError, match="another run took s3://"):
            assure()
    assert max(_numbers(folder)) == mine + 5


def test_a_store_that_replaces_what_it_was_told_to_make_is_refused(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(name: str, data: bytes) -> bool:
        folder.write(name, data)
        return True

    monkeypatch.setattr(folder, "create", careless)
    with pytest.raises(RunError, match="replaces objects"), hold_lease(folder, "first"):
        pass
    assert _numbers(folder) == []


def test_an_object_is_made_only_where_there_is_none(folder: Folder) -> None:
    assert folder.create("a", b"one")
    assert folder.create("a", b"one")  # the answer to the first request may have been lost
    assert not folder.create("a", b"two")
    assert folder.read("a") == b"one"


def test_a_run_that_did_not_answer_in_time_goes_on_if_nobody_took_its_place(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases._Lease, "renew_until_released", lambda _lease: None)
    with hold_lease(folder, "slow") as assure:
        mine = max(_numbers(folder))
        time.sleep(1.6)
        assure()
        assert max(_numbers(folder)) == mine + 1
