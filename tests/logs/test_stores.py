"""Object stores: a URL is read like a path, and what a store refuses is said with its name."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import obstore
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from pipeline.errors import ConfigError, LogError
from pipeline.logs import stores
from pipeline.logs.files import find_inputs
from pipeline.logs.stores import OPTIONS_VARIABLE, find_objects, is_url, open_input, stat_object, use_storage_options
from tests.command import SAMPLES, callcost, report
from tests.prices.server import sends, serving

LINES = b"".join(b'{"n": %d}\n' % number for number in range(5_000))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The endpoint of an S3 server on loopback."""
    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


def options(endpoint: str) -> dict[str, str]:
    return {"endpoint": endpoint, "region": "us-east-1", "access_key_id": "key", "secret_access_key": "secret"}


@pytest.fixture
def bucket(server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    """An empty bucket of the test's own, and the options to reach it."""
    monkeypatch.setenv(OPTIONS_VARIABLE, "{}")
    use_storage_options([f"{key}={value}" for key, value in options(server).items()] + ["allow_http=true"])
    name = f"b{abs(hash(request.node.nodeid))}"
    store = S3Store(name, **options(server), client_options={"allow_http": True})  # type: ignore[arg-type]
    httpx.put(f"{server}/{name}").raise_for_status()
    return store


def url(store: S3Store, key: str = "") -> str:
    return f"s3://{store.config['bucket']}/{key}"


def put(store: S3Store, *keys: str, data: bytes = LINES) -> None:
    for key in keys:
        obstore.put(store, key, data)


def test_only_known_schemes_are_urls() -> None:
    assert is_url("s3://bucket/key")
    assert is_url("abfss://container@account/key")
    assert not is_url("logs/s3://x")
    assert not is_url("https://example.org/log.jsonl")
    assert not is_url("s3:/bucket")


def test_a_folder_is_everything_below_it_but_hidden_entries(bucket: S3Store) -> None:
    put(bucket, "logs/a.jsonl", "logs/deep/b.jsonl", "logs/.hidden/c.jsonl", "logs/deep/.d.jsonl", "logs2/e.jsonl")

    for argument in ("logs", "logs/"):
        inputs = find_inputs([url(bucket, argument)])

        assert [each.name for each in inputs] == ["logs/a.jsonl", "logs/deep/b.jsonl"]
        assert [each.path for each in inputs] == [url(bucket, "logs/a.jsonl"), url(bucket, "logs/deep/b.jsonl")]
        assert {each.bytes for each in inputs} == {len(LINES)}


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("logs/*.jsonl", ["a.jsonl", "b.jsonl"]),
        ("logs/?.jsonl", ["a.jsonl", "b.jsonl"]),
        ("logs/[bc]*", ["b.jsonl"]),
        ("logs/**/*.gz", ["d.gz", "c.gz"]),
        ("*/x", ["x/c.gz", "x/y/d.gz"]),
        ("logs/a.jsonl", ["a.jsonl"]),
    ],
)
def test_globs_are_those_of_paths(bucket: S3Store, glob: str, names: list[str]) -> None:
    put(bucket, "logs/a.jsonl", "logs/b.jsonl", "logs/x/c.gz", "logs/x/y/d.gz")
    assert sorted(each.name for each in find_inputs([url(bucket, glob)])) == sorted(names)


def test_an_object_named_twice_is_read_once(bucket: S3Store) -> None:
    put(bucket, "logs/a.jsonl")
    assert len(find_inputs([url(bucket, "logs"), url(bucket, "logs/*")])) == 1


def test_what_matches_nothing_is_an_error(bucket: S3Store) -> None:
    for argument in ("nothing", "nothing/*"):
        with pytest.raises(LogError, match="no file matches s3://"):
            find_inputs([url(bucket, argument)])


def test_an_object_can_be_sought_in(bucket: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "BLOCK", 1_000)
    put(bucket, "a.jsonl")

    with open_input(url(bucket, "a.jsonl")) as stream:
        assert stream.read() == LINES
        assert stream.seek(-7, 2) == len(LINES) - 7
        assert stream.read(100) == LINES[-7:]
        stream.seek(5_500)
        assert stream.read(2_500) == LINES[5_500:8_000]
        assert stream.readline() == LINES[8_000:].split(b"\n")[0] + b"\n"


def test_an_object_that_changes_while_it_is_read_cannot_be_read_on(
    bucket: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "BLOCK", 1_000)
    put(bucket, "a.jsonl")
    with open_input(url(bucket, "a.jsonl")) as stream:
        stream.read(10)
        put(bucket, "a.jsonl", data=LINES[::-1])
        with pytest.raises(OSError, match="changed while it was read"):
            stream.read()


def test_an_object_that_is_gone_is_none(bucket: S3Store) -> None:
    assert stat_object(url(bucket, "a.jsonl")) is None
    with pytest.raises(FileNotFoundError):
        open_input(url(bucket, "a.jsonl"))


@pytest.mark.parametrize(("status", "said"), [(403, "denies access"), (401, "does not accept the credentials")])
def test_a_refusal_names_the_object_and_the_next_step(status: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OPTIONS_VARIABLE, "{}")
    with serving(sends(b"", status=status)) as server:
        use_storage_options([f"{key}={value}" for key, value in options(server.address).items()] + ["allow_http=true"])
        with pytest.raises(LogError, match=said) as caught:
            list(find_objects("s3://bucket/logs/"))
    assert "s3://bucket/logs/" in caught.value.message
    assert "credentials" in caught.value.hint
    assert "secret" not in f"{caught.value}"


def test_the_keys_of_an_aws_profile_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(OPTIONS_VARIABLE, "{}")
    credentials = tmp_path / "credentials"
    credentials.write_text("[night]\naws_access_key_id = key-of-night\naws_secret_access_key = s\n", encoding="utf-8")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with serving(sends(b"", status=403)) as server:
        use_storage_options([f"endpoint={server.address}", "region=us-east-1", "allow_http=true"])
        monkeypatch.setenv("AWS_PROFILE", "day")
        with pytest.raises(ConfigError, match="day"):
            list(find_objects("s3://bucket/logs/"))
        monkeypatch.setenv("AWS_PROFILE", "night")
        with pytest.raises(LogError, match="denies access"):
            list(find_objects("s3://bucket/logs/"))
    assert "Credential=key-of-night/" in server.asked[0].headers["Authorization"]


def test_an_option_without_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no value"):
        use_storage_options(["region"])


def test_without_the_extra_the_command_to_install_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    finished = callcost("inspect", "s3://bucket/logs")
    assert finished.code == 2
    assert "pip install 'callcost[cloud]'" in finished.stderr


@pytest.mark.parametrize("pool", [False, True])
def test_a_report_of_a_bucket_is_that_of_the_folder_to_the_byte(bucket: S3Store, tmp_path: Path, *, pool: bool) -> None:
    for path in (path for path in SAMPLES.rglob("*") if path.is_file()):
        put(bucket, path.relative_to(SAMPLES.parent).as_posix(), data=path.read_bytes())
    put(bucket, "sample_logs/more.jsonl.gz", data=gzip.compress((SAMPLES / "no-usage-2025-05.jsonl").read_bytes()))
    local = tmp_path / "sample_logs"
    for entry in obstore.list(bucket).collect():
        target = tmp_path / entry["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(obstore.get(bucket, entry["path"]).bytes())
    here = report([local], tmp_path / "here", "--calls")

    words = [url(bucket, "sample_logs"), "--out", url(bucket, "out"), "--calls"]
    there = callcost("report", *words, env={"CALLCOST_INLINE_BYTES": "0"} if pool else None)

    assert there.code == 0, there.stderr
    for name in ("spend.csv", "spend.parquet", "rejects.parquet", "calls.parquet"):
        assert bytes(obstore.get(bucket, f"out/{name}").bytes()) == (here.out / name).read_bytes(), name
    assert b'"secret"' not in bytes(obstore.get(bucket, "out/manifest.json").bytes())


def test_what_works_on_folders_only_says_so(bucket: S3Store, tmp_path: Path) -> None:
    filled = callcost("backfill", url(bucket, "logs"), "--out", tmp_path / "out")
    kept = callcost("report", SAMPLES, "--out", url(bucket, "out"), "--state", tmp_path / "state")
    assert (filled.code, kept.code) == (2, 2)
    assert "s3://" in filled.stderr
    assert "s3://" in kept.stderr
