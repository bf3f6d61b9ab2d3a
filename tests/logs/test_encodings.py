"""A body is read however it was packed, and what cannot be read is None, never an error or a flood."""

from __future__ import annotations

import gzip
import sys
import zlib
from types import SimpleNamespace

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.responses import http_bodies as encodings
from callcost.logs.responses.http_bodies import decode_content

TEXT = '{"model": "gpt-4o", "täxt": 1}'
RAW_DEFLATE = zlib.compressobj(wbits=-15)


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (TEXT.encode(), ""), (TEXT.encode(), "gzip"), (gzip.compress(TEXT.encode(), mtime=0), "gzip"),
        (gzip.compress(TEXT.encode(), mtime=0), ""), (zlib.compress(TEXT.encode()), "deflate"),
        (RAW_DEFLATE.compress(TEXT.encode()) + RAW_DEFLATE.flush(), "Deflate"),
        (zstandard.compress(TEXT.encode()), "zstd"), (TEXT.encode(), "br"),
    ],
)  # fmt: skip
def test_a_body_is_unpacked(data: bytes, encoding: str) -> None:
    assert decode_content(data, encoding) == TEXT


def test_brotli_is_read_where_a_package_for_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brotli", None)
    monkeypatch.setitem(sys.modules, "brotlicffi", None)
    assert decode_content(b"\x0b\xff", "br") is None
    library = SimpleNamespace(decompress=lambda packed: TEXT.encode(), error=OSError)
    monkeypatch.setitem(sys.modules, "brotlicffi", library)
    assert decode_content(b"\x0b\xff", "br") == TEXT


def test_a_body_that_would_be_too_large_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "MAX_RECORD", 1000)
    for packed in (gzip.compress(b"x" * 10**6), zstandard.compress(b"x" * 10**6)):
        assert decode_content(packed) is None


@given(st.binary(max_size=80), st.sampled_from(["", "gzip", "deflate", "br", "zstd"]), st.integers(0, 90))
def test_damaged_bodies_are_read_without_an_error(noise: bytes, encoding: str, cut: int) -> None:
    for data in (noise, gzip.compress(noise)[:cut], zstandard.compress(noise)[:cut]):
        assert isinstance(decode_content(data, encoding), str | None)
