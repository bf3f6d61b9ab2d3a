"""Which files, how they are called, what is in them: arguments, compression, containers, ranges."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import tarfile
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callcost.errors import LogError
from callcost.logs.io import compression
from callcost.logs.io import inputs as files
from callcost.logs.io.inputs import Input, find_inputs, read_raw
from callcost.logs.io.records import Raw
from callcost.logs.io.sniff import REFUSALS, SAMPLE, container_of, sniff
from callcost.tables import Reject

LINES = [b'{"n": %d}' % number for number in range(1, 6)]
TEXT = b"\n".join(LINES) + b"\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Make a folder of logs with what a real one has in it."""
    for name in ("logs/a.jsonl", "logs/deep/er/b.jsonl", "logs/.hidden", "logs/.git/config", "logs/c", "more/a.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(TEXT)
    return tmp_path


def _names(*paths: Path | str) -> list[str]:
    return [source.name for source in find_inputs([str(path) for path in paths])]


def _read(path: Path) -> list[Raw | Reject]:
    (source,) = find_inputs([str(path)])
    return list(read_raw(source))


def _data(found: list[Raw | Reject]) -> list[bytes]:
    return [raw.data for raw in found if isinstance(raw, Raw)]


def test_a_folder_is_searched_and_hidden_entries_left_out(tree: Path) -> None:
    assert _names(tree / "logs") == ["logs/a.jsonl", "logs/c", "logs/deep/er/b.jsonl"]


def test_a_file_is_called_by_its_own_name(tree: Path) -> None:
    assert _names(tree / "logs/a.jsonl") == ["a.jsonl"]
    assert _names(tree / "logs/../logs/deep/") == ["deep/er/b.jsonl"]


def test_names_that_clash_are_numbered(tree: Path) -> None:
    assert _names(tree / "logs/a.jsonl", tree / "more/a.jsonl") == ["a.jsonl", "a.jsonl#2"]
    (tree / "more/logs").mkdir()
    (tree / "more/logs/a.jsonl").write_bytes(TEXT)
    assert _names(tree / "logs/deep", tree / "logs/c", tree / "more/logs") == ["deep/er/b.jsonl", "c", "logs/a.jsonl"]
    assert _names(tree / "logs", tree / "more/logs")[-1] == "logs#2/a.jsonl"


def test_a_file_named_twice_is_read_once(tree: Path) -> None:
    assert len(find_inputs([str(tree / "logs"), str(tree / "logs/a.jsonl"), str(tree / "logs/../logs/c")])) == 3
    (tree / "link").symlink_to(tree / "logs")
    (tree / "logs/loop").symlink_to(tree / "logs")
    assert len(find_inputs([str(tree / "logs"), str(tree / "link")])) == 3


def test_a_glob_is_expanded(tree: Path) -> None:
    assert _names(tree / "*/a.jsonl") == ["a.jsonl", "a.jsonl#2"]
    assert _names(tree / "logs/**/*.jsonl") == ["a.jsonl", "b.jsonl"]
    (tree / "logs/[x].jsonl").write_bytes(TEXT)
    assert _names(tree / "logs/[x].jsonl") == ["[x].jsonl"]


def test_here_has_a_name(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "logs")
    assert _names(".")[0] == "logs/a.jsonl"
    assert _names("a.jsonl") == ["a.jsonl"]


@pytest.mark.parametrize("argument", ["nothing.jsonl", "*.nothing", "empty"])
def test_an_argument_that_matches_nothing_is_an_error(tmp_path: Path, argument: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(LogError, match="no file matches"):
        find_inputs([str(tmp_path / argument)])


def test_standard_input_can_be_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(TEXT))))
    (source,) = find_inputs(["-"])
    assert source.name == "-"
    assert _data(list(read_raw(source))) == _data(list(read_raw(source))) == LINES


def test_a_pipe_is_read_like_standard_input(tmp_path: Path) -> None:
    import os
    import threading

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(TEXT,))
    writer.start()
    assert _data(_read(pipe)) == LINES
    writer.join()


@pytest.mark.parametrize(
    "data",
    [
        TEXT,
        gzip.compress(TEXT),
        gzip.compress(TEXT[:20]) + gzip.compress(TEXT[20:]) + gzip.compress(b""),
        zstandard.compress(TEXT),
        zstandard.compress(TEXT[:20]) + b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc" + zstandard.compress(TEXT[20:]),
        zstandard.ZstdCompressor(write_content_size=False).compressobj().compress(b"") + zstandard.compress(TEXT),
    ],
    ids=["plain", "gz", "gz members", "zst", "zst frames", "zst after nothing"],
)
def test_compression_is_told_by_its_magic_bytes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(data)
    assert _data(_read(path)) == LINES


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress], ids=["gz", "zst"])
def test_a_file_cut_short_keeps_its_good_lines(tmp_path: Path, compress: object) -> None:
    lines = b"".join(b'{"n": "%s"}\n' % bytes(str(hash((7, n))), "ascii") for n in range(3_000))
    data = gzip.compress(lines) if compress is gzip.compress else zstandard.ZstdCompressor(level=1).compress(lines)
    path = tmp_path / "log"
    for cut in (len(data) // 2, len(data) - 1, 20):
        path.write_bytes(data[:cut])
        *good, last = _read(path)
        assert isinstance(last, Reject)
        assert (last.reason, last.source_row) == ("truncated_file", None)
        assert all(isinstance(raw, Raw) for raw in good)
        assert lines.startswith(b"".join(raw.data + b"\n" for raw in good if isinstance(raw, Raw)))


def test_rubbish_behind_a_gz_is_said(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(gzip.compress(TEXT) + b"rubbish")
    found = _read(tmp_path / "log")
    assert _data(found) == LINES
    assert [one.reason for one in found if isinstance(one, Reject)] == ["truncated_file"]


def test_a_small_file_that_is_huge_unpacked_streams(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zst"
    path.write_bytes(zstandard.compress((b" " * (1 << 20) + b"\n") * 200 + b'{"n": 1}\n'))
    (source,) = find_inputs([str(path)])
    assert max(len(block) for block in files.blocks_of(source)) <= 1 << 20
    assert _data(_read(path)) == [b'{"n": 1}']


def test_a_file_that_cannot_be_opened_is_one_reject() -> None:
    source = Input(path="/nonexistent/log", name="log", bytes=0)
    assert container_of(source.path) == "jsonl"
    assert list(read_raw(source)) == [Reject(reason="unreadable_file", detail="FileNotFoundError")]


@given(
    data=st.lists(st.binary(max_size=12).map(lambda line: line.replace(b"{", b"")), max_size=30),
    step=st.integers(1, 40),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ranges_cover_each_line_once(tmp_path: Path, data: list[bytes], step: int) -> None:
    path = tmp_path / "log"
    text = b"{}\n" + b"\n".join(data)
    path.write_bytes(text)
    source = Input(path=str(path), name="log", bytes=len(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BLOCK", 7)
        patch.setattr(compression, "BLOCK", 7)
        edges = [*range(0, len(text), step), None]
        parts = [raw for start, end in pairwise(edges) for raw in read_raw(source, start or None, end)]
        whole = list(read_raw(source))
    assert [(raw.offset, raw.data) for raw in parts if isinstance(raw, Raw)] == [
        (raw.offset, raw.data) for raw in whole if isinstance(raw, Raw)
    ]


def test_a_range_knows_its_rows(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(TEXT)
    (source,) = find_inputs([str(tmp_path / "log")])
    assert list(read_raw(source, 9, 18, 2)) == [Raw(2, 9, LINES[1])]


@pytest.mark.parametrize(
    ("text", "container"),
    [
        (b'{"a": 1}\n{"b": 2}', "jsonl"), (b"", "jsonl"), (b"\n\n", "jsonl"), (b"42\n", "jsonl"),
        (b"not json", "jsonl"), (b"ot\x00\x00\n{}\n", "jsonl"), (b"a,b,c,d\n{}\n", "jsonl"),
        (b'1.2.3.4 - - [10/Oct/2025:13:55:36 +0000] "\n{}\n', "jsonl"), (b"a\nb\nc\nd\ne\n{}\n", "jsonl"),
        (b'{"a": \n{"b": 2}\n', "jsonl"), (b'{"a": {\n{"b": 2}\n', "jsonl"), (b'{"cut', "jsonl"),
        (b'{\n  "a": 1\n}\n', "json"), (b'{"a": [\n1\n]}{"b": 2}', "json"), (b'{"a": 1}{"b": 2}', "json"),
        (b'[{"a": 1},\n{"b": 2}]', "json"), (b"[\n]", "json"), (b"[]", "json"), (b"[[1], [2]]\n", "json"),
        (b'[1]\n{"a": 1}\n', "jsonl"), (b'[2025-01-24 09:20:46] {"a": 1}\n', "jsonl"),
        (b'data: {"a": 1}\n\n', "sse"), (b": hi\n\nevent: x\ndata: {}\n", "sse"), (b"event: x\n", "sse"),
        (b"PAR1....", "parquet"),
        (b"PK\x03\x04....", "zip"), (b"\xfd7zXZ\x00", "xz"), (b"BZh91AY&SY", "bzip2"), (b"\xff\xfe{\x00", "utf16"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "binary"), (bytes(range(1, 32)) * 20 + b"\n{}\n", "binary"),
        (b"a.jsonl".ljust(257, b"\x00") + b"ustar\x0000\n{}\n", "tar"), (b"\x04\x22\x4d\x18.\n{}", "lz4"),
        (b"\xff\x06\x00\x00sNaPpY.\n{}", "snappy"), (b"\x78\x01\x01\n{}\n", "deflate"), (b"x^2\n{}\n", "jsonl"),
        (b"7z\xbc\xaf\x27\x1c\n{}", "7z"), (b"SQLite format 3\x00\n{}", "sqlite"), (b"Obj\x01\n{}", "table"),
        (b"ORCA\n{}\n", "jsonl"), (b"BZh9\x17rE8P\x90", "bzip2"), (b"PK\x05\x06", "zip"), (b"LZIP\n{}", "xz"),
        (b'127.0.0.1 - ana [10/Oct/2025:13:55:36 +0000] "POST /v1/chat HTTP/1.1" 200 23\n', "access_log"),
        (b"request_id,call_type,spend,model\n", "csv"), (b'"a","b","c","d"\n1,2,3,4', "csv"),
        (b"hello, world\n", "jsonl"), (b"a,b,c,d,e\n1,\"\n{\n}\",2,3,4\n", "csv"), (b"a\tb\n", "csv"),
        (b"interactions:\n- request:\n", "yaml"), (b"---\n# a note\nversion: 1\ninteractions: []\n", "yaml"),
        (b"$ curl https://example.com\n", "script"), (b"#!/bin/sh\n{\n", "script"),
        (b'[2025-01-01T10:00:00.000Z] "POST /v1 HTTP/2" 200 - 154 0\n', "proxy_log"),
        (b"h2 2025-01-01T10:00:00.18Z app/my-lb/50dc 10.0.0.1:2817 10.0.0.2:80 0.0\n", "access_log"),
        (b"#Fields: date time cs-method\n", "access_log"),
        (b"INFO 07-24 11:20:46 [logger.py:41] Received request\n", "server_log"),
        (b'\x1b[32mINFO:     127.0.0.1:5000 - "POST /v1/chat"\n', "server_log"),
        (b"x" * 9000 + b"\n" + b"y, z" * 3000 + b"\n" + b" " * 9000 + b"\n", "jsonl"),  # at once
        (b"# Notes\nA line.\nB line.\nC line.\nD line.\n", "prose"),
        (b"\xef\xbb\xbf" + b'{"a": 1}\n', "jsonl"),
        (b'{"a": "' + b"x" * SAMPLE, "jsonl"), (b'[{"a": "' + b"x" * SAMPLE, "json"),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_a_container_is_told_by_its_beginning(text: bytes, container: str) -> None:
    assert sniff(text[:SAMPLE]) == container


@pytest.mark.parametrize("container", sorted(REFUSALS))
def test_a_refused_file_is_one_reject_without_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: str
) -> None:
    monkeypatch.setattr(files, "container_of", lambda _path: container)
    (tmp_path / "log").write_bytes(TEXT)
    (reject,) = _read(tmp_path / "log")
    assert isinstance(reject, Reject)
    assert (reject.source_row, reject.byte_offset) == (None, None)
    assert reject.detail


@pytest.mark.parametrize("outer", [gzip.compress, zstandard.compress], ids=["gz", "zst"])
def test_a_file_packed_twice_or_a_packed_archive_is_refused_and_never_half_read(
    outer: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    lines = b'{"id": 1}\n' * 50
    table, archive = io.BytesIO(), io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2]}), table)
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("log.jsonl")
        entry.size = len(lines)
        tar.addfile(entry, io.BytesIO(lines))
    inner = (gzip.compress(lines, 0), zstandard.compress(lines, -100), table.getvalue(), archive.getvalue())
    for data in (*inner, zlib.compress(lines, 0), bz2.compress(lines), lzma.compress(lines)):
        (tmp_path / "log").write_bytes(outer(data))
        (reject,) = _read(tmp_path / "log")
        assert isinstance(reject, Reject)
        assert (reject.reason, reject.source_row) == ("unreadable_file", None)
        assert "unpack it" in reject.detail


@given(st.binary(max_size=400))
def test_any_beginning_has_a_container(sample: bytes) -> None:
    assert sniff(sample) in {"jsonl", "json", "sse", "csv", "yaml", "parquet", *REFUSALS}
