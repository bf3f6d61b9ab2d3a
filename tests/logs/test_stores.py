"""Object stores: a URL is read like a path, and what a store refuses is said with its name."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from callcost.errors import ConfigError, LogError
from callcost.logs.io import object_store as stores
from callcost.logs.io.folders import folder_at, open_whole
from callcost.logs.io.inputs import find_inputs
from callcost.logs.io.object_store import find_objects, is_url, open_input, stat_object
from callcost.logs.io.store_access import OPTIONS_VARIABLE, use_storage_options
from tests.command import SAMPLES, callcost, report
from tests.net.server import sends, serving
from tests.stores import Bucket, make_bucket, serving_gcs, serving_moto

LINES = b"".join(b'{"n": %d}\n' % number for number in range(5_000))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The endpoint of an S3 server on loopback."""
    with serving_moto() as endpoint:
        yield endpoint


@pytest.fixture
def bucket(server: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket of the test's own, and the options to reach it."""
    return make_bucket(server, f"b{abs(hash(request.node.nodeid))}", monkeypatch)


def put(bucket: Bucket, *keys: str, data: bytes = LINES) -> None:
    for key in keys:
        bucket.put(key, data)


def test_only_known_schemes_are_urls() -> None:
    assert is_url("s3://bucket/key")
    assert is_url("abfss://container@account/key")
    assert not is_url("logs/s3://x")
    assert not is_url("https://example.org/log.jsonl")
    assert not is_url("s3:/bucket")


def test_a_folder_is_everything_below_it_but_hidden_entries(bucket: Bucket) -> None:
    put(bucket, "logs/a.jsonl", "logs/deep/b.jsonl", "logs/.hidden/c.jsonl", "logs/deep/.d.jsonl", "logs2/e.jsonl")

    for argument in ("logs", "logs/"):
        inputs = find_inputs([bucket.url(argument)])

        assert [each.name for each in inputs] == ["logs/a.jsonl", "logs/deep/b.jsonl"]
        assert [each.path for each in inputs] == [bucket.url("logs/a.jsonl"), bucket.url("logs/deep/b.jsonl")]
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
def test_globs_are_those_of_paths(bucket: Bucket, glob: str, names: list[str]) -> None:
    put(bucket, "logs/a.jsonl", "logs/b.jsonl", "logs/x/c.gz", "logs/x/y/d.gz")
    assert sorted(each.name for each in find_inputs([bucket.url(glob)])) == sorted(names)


def test_an_object_named_twice_is_read_once(bucket: Bucket) -> None:
    put(bucket, "logs/a.jsonl")
    assert len(find_inputs([bucket.url("logs"), bucket.url("logs/*")])) == 1


def test_what_matches_nothing_is_an_error(bucket: Bucket) -> None:
    for argument in ("nothing", "nothing/*"):
        with pytest.raises(LogError, match="no file matches s3://"):
            find_inputs([bucket.url(argument)])


def test_an_object_can_be_sought_in(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "BLOCK", 1_000)
    put(bucket, "a.jsonl")

    with open_input(bucket.url("a.jsonl")) as stream:
        assert stream.read() == LINES
        assert stream.seek(-7, 2) == len(LINES) - 7
        assert stream.read(100) == LINES[-7:]
        stream.seek(5_500)
        assert stream.read(2_500) == LINES[5_500:8_000]
        assert stream.readline() == LINES[8_000:].split(b"\n")[0] + b"\n"


def test_an_object_that_changes_while_it_is_read_cannot_be_read_on(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "BLOCK", 1_000)
    put(bucket, "a.jsonl")
    with open_input(bucket.url("a.jsonl")) as stream:
        stream.read(10)
        put(bucket, "a.jsonl", data=LINES[::-1])
        with pytest.raises(OSError, match="changed while it was read"):
            stream.read()


def test_an_object_that_is_gone_is_none(bucket: Bucket) -> None:
    assert stat_object(bucket.url("a.jsonl")) is None
    with pytest.raises(FileNotFoundError):
        open_input(bucket.url("a.jsonl"))


@pytest.mark.parametrize(("status", "said"), [(403, "denies access"), (401, "does not accept the credentials")])
def test_a_refusal_names_the_object_and_the_next_step(status: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(sends(b"", status=status)) as server:
        Bucket(server.address, "bucket").use(monkeypatch)
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
def test_a_report_of_a_bucket_is_that_of_the_folder_to_the_byte(bucket: Bucket, tmp_path: Path, *, pool: bool) -> None:
    for path in (path for path in SAMPLES.rglob("*") if path.is_file()):
        put(bucket, path.relative_to(SAMPLES.parent).as_posix(), data=path.read_bytes())
    put(bucket, "sample_logs/more.jsonl.gz", data=gzip.compress((SAMPLES / "no-usage-2025-05.jsonl").read_bytes()))
    local = tmp_path / "sample_logs"
    for name, data in bucket.files("sample_logs").items():
        (local / name).parent.mkdir(parents=True, exist_ok=True)
        (local / name).write_bytes(data)
    here = report([local], tmp_path / "here", "--calls")

    words = [bucket.url("sample_logs"), "--out", bucket.url("out"), "--calls"]
    there = callcost("report", *words, env={"CALLCOST_INLINE_BYTES": "0"} if pool else None)

    assert there.code == 0, there.stderr
    written = bucket.files("out")
    for name in ("spend.csv", "spend.parquet", "rejects.parquet", "calls.parquet"):
        assert written[name] == (here.out / name).read_bytes(), name
    assert b'"secret"' not in written["manifest.json"]


def test_an_object_that_is_written_in_parts_is_there_whole_or_not_at_all(bucket: Bucket) -> None:
    place, part = bucket.url("big/log"), b"x" * (6 << 20)

    def write(parts: int) -> None:
        with open_whole(place) as stream:
            for _ in range(parts):
                stream.write(part)
            assert parts == 4

    with pytest.raises(AssertionError):
        write(3)
    assert bucket.files("big") == {}
    assert b"<Upload>" not in httpx.get(f"{bucket.endpoint}/{bucket.name}?uploads").content
    write(4)
    assert bucket.files("big") == {"log": part * 4}


def test_what_a_store_cannot_do_now_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    page = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
    with serving(sends(b"", status=503), sends(b"", status=429), sends(b"", status=500), sends(page)) as server:
        Bucket(server.address, "bucket").use(monkeypatch)
        assert folder_at("s3://bucket/logs/").names("") == []
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (400, "ExpiredToken", "the credentials are expired"),
        (403, "InvalidAccessKeyId", "the store does not know the access key"),
        (403, "AccessDenied", "the store denies access"),
        (404, "NoSuchBucket", "there is no such bucket"),
    ],
)
def test_what_a_store_refuses_is_said_with_the_reason(
    status: int, code: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(sends(f"<Error><Code>{code}</Code></Error>".encode(), status=status)) as server:
        Bucket(server.address, "bucket").use(monkeypatch)
        finished = callcost("inspect", "s3://bucket/logs/")
    assert finished.code == 1
    assert finished.stderr.startswith(f"callcost: s3://bucket/logs/: {said}"), finished.stderr
    assert "Check the credentials" in finished.stderr


def test_a_bucket_that_is_not_there_is_said_by_name(bucket: Bucket, tmp_path: Path) -> None:
    log, out = SAMPLES / "no-usage-2025-05.jsonl", tmp_path / "out"
    wrong: list[tuple[str | Path, ...]] = [
        ("report", log, "--out", "s3://nobody/out"),
        ("report", log, "--state", "s3://nobody/state", "--out", out),
        ("report", log, "--state", tmp_path / "state", "--out", "s3://nobody/out"),
        ("report", "s3://nobody/logs", "--out", out),
        ("backfill", log, "--out", "s3://nobody/out"),
    ]
    for words in wrong:
        finished = callcost(*words)
        assert finished.code in {1, 4}, words
        assert finished.stderr.startswith("callcost: s3://nobody/"), finished.stderr
        assert "there is no such bucket" in finished.stderr


def test_a_log_in_a_store_is_filled_as_one_in_a_folder(bucket: Bucket, tmp_path: Path) -> None:
    log = (SAMPLES / "no-usage-2025-05.jsonl").read_bytes()
    calls = [{"timestamp": "2025-11-01T08:00:00Z", "model": "gpt-4o", "messages": "Hi?", "response": "Hi."}] * 9
    table = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(calls), table, row_group_size=4)
    logs = {
        "a.jsonl": log, "b.jsonl.gz": gzip.compress(log), "deep/c.jsonl.zst": zstandard.compress(log),
        "d.parquet": table.getvalue(), "same.jsonl": b'{"no": "call"}\n', "damaged.jsonl.gz": gzip.compress(log)[:-30],
    }  # fmt: skip
    for name, data in logs.items():
        (tmp_path / "logs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "logs" / name).write_bytes(data)
        put(bucket, f"logs/{name}", data=data)
    here = callcost("backfill", tmp_path / "logs", "--out", tmp_path / "out")
    there = callcost("backfill", bucket.url("logs"), "--out", bucket.url("out"))
    assert (here.code, there.code) == (0, 0), there.stderr
    assert here.stderr.replace(str(tmp_path / "out"), bucket.url("out")) == there.stderr
    filled = {path.relative_to(tmp_path / "out").as_posix(): path for path in (tmp_path / "out").rglob("*")}
    copies = bucket.files("out")
    assert copies == {name: path.read_bytes() for name, path in filled.items() if path.is_file()}
    assert copies["logs/a.jsonl"] != log
    assert callcost("backfill", bucket.url("logs"), "--out", bucket.url("")).code == 2  # over the originals


def test_logs_in_googles_store_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = (SAMPLES / "no-usage-2025-05.jsonl").read_bytes()
    (tmp_path / "logs").mkdir()
    with serving_gcs(tmp_path) as endpoint:
        httpx.post(f"{endpoint}/storage/v1/b", json={"name": "bucket"}).raise_for_status()
        for name, data in {"a.jsonl": log, "b.jsonl.gz": gzip.compress(log)}.items():
            (tmp_path / "logs" / name).write_bytes(data)
            put = f"{endpoint}/upload/storage/v1/b/bucket/o?uploadType=media&name=logs%2F{name}"
            httpx.post(put, content=data).raise_for_status()
        monkeypatch.setenv(OPTIONS_VARIABLE, "{}")
        use_storage_options([f"base_url={endpoint}", "skip_signature=true", "allow_http=true"])
        there = report(["gs://bucket/logs"], tmp_path / "there")
        kept = callcost("report", "gs://bucket/logs", "--state", tmp_path / "state", "--out", tmp_path / "kept")
        again = callcost("report", "gs://bucket/logs", "--state", tmp_path / "state", "--out", tmp_path / "kept")
    here = report([tmp_path / "logs"], tmp_path / "here")
    assert (there.out / "spend.parquet").read_bytes() == (here.out / "spend.parquet").read_bytes()
    assert (kept.code, again.code) == (0, 0)
    assert "0 inputs read, 2 known" in again.stderr


def test_results_below_a_folder_of_a_store_are_skipped_and_refused_where_they_are_named(
    bucket: Bucket, tmp_path: Path
) -> None:
    row = b'{"id": "c-%d", "model": "gpt-4o", "prompt_tokens": 9, "completion_tokens": %d}\n'
    put(bucket, "logs/a.jsonl", data=b"".join(row % (number, number) for number in range(9)))
    first = report([bucket.url("logs")], tmp_path / "first")
    assert callcost("report", bucket.url("logs"), "--out", bucket.url("logs/reports"), "--calls").code == 0
    assert callcost("backfill", bucket.url("logs"), "--out", bucket.url("logs/filled")).code == 0
    again = report([bucket.url("logs")], tmp_path / "again")
    assert (again.spend, again.records) == (first.spend, first.records)
    assert again.manifest["run"]["skipped"] == [
        {"path": "logs/filled", "what": "a backfilled copy"},
        {"path": "logs/reports", "what": "a report"},
    ]
    refused = callcost("inspect", bucket.url("logs/reports"))
    assert (refused.code, "a report" in refused.stderr) == (1, True)
    assert report([bucket.url("logs/filled")], tmp_path / "filled").spend == first.spend


@pytest.mark.parametrize("url", ["s3://logs/../other", "gs://logs/a/./b"])
def test_a_name_that_no_store_has_is_refused_with_the_next_step(url: str) -> None:
    for name in ("report", "query"):
        done = callcost(name, url, *(["SELECT 1"] if name == "query" else []))
        assert (done.code, url in done.stderr, "Write the name" in done.stderr) == (2, True, True)
