"""A run's work in an object store: the same bytes as on a disk, markers that only one writer makes, and resuming."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import Finished, callcost, report
from tests.faults.test_work_dir import assert_same, make_logs
from tests.stores import Bucket, make_bucket, serving_moto


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with serving_moto() as endpoint:
        yield endpoint


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    return make_bucket(server, "work", monkeypatch)


def test_work_in_a_store_gives_the_bytes_of_work_on_a_disk_and_goes_on_there(bucket: Bucket, tmp_path: Path) -> None:
    logs = make_logs(tmp_path / "logs")
    plain = report([logs], tmp_path / "plain", "--calls")
    words = ("--calls", "--work-dir", bucket.url("work"))
    assert_same(report([logs], tmp_path / "out", *words).out, plain)

    done = {name: data for name, data in bucket.files("work").items() if "/done/" in name}
    run = next(iter(done)).split("/")[0]
    bucket.delete(*(f"work/{name}" for name in done if "/reduce_files-" in name), f"work/{run}/published.json")
    assert_same(report([logs], tmp_path / "again", *words).out, plain)
    now = bucket.files("work")
    assert {name: now[name] for name in done if "/reduce_files-" not in name} == {
        name: data for name, data in done.items() if "/reduce_files-" not in name
    }

    swept: Finished = callcost("gc", bucket.url("work"), "--older-than", "0h")
    assert swept.code == 0, swept.stderr
    assert not bucket.files("work")
