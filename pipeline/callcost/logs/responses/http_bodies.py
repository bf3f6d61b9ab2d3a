"""HTTP bodies as they went over the wire to text: content encodings, and the frames of AWS event streams.

A body is taken for what its first bytes say, since recorders keep the header of a body that they have unpacked.
Brotli has no such bytes and no decoder in the standard library: it is read where a package for it is installed.
Frames: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
"""

from __future__ import annotations

import base64
import binascii
import importlib
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import zstandard

from callcost.logs.io.records import MAX_RECORD
from callcost.logs.values.json import Refusal, decode

_GZIP, _ZLIB, _DEFLATE = 31, 15, -15  # window bits
_FRAME_HEAD, _CHECKSUM, _FRAMING = 12, 4, 16  # bytes of a frame before its headers, after its payload, both
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}  # of header values, by type; 6 and 7 say their size
_TEXT = 7


def decode_content(data: bytes, encoding: str = "") -> str | None:
    """Return the text of a body; None where it cannot be read.

    Args:
        data: the bytes.
        encoding: the Content-Encoding header.

    >>> decode_content(b"plain")
    'plain'
    """
    for reader in _readers_of(data, encoding.lower()):
        try:
            plain = reader(data)
        except (zlib.error, zstandard.ZstdError, ValueError):
            continue
        return _text_of(plain) if len(plain) <= MAX_RECORD else None
    return _text_of(data)


def _readers_of(data: bytes, encoding: str) -> list[Callable[[bytes], bytes]]:
    if data.startswith(b"\x1f\x8b"):
        return [partial(_inflate, window=_GZIP)]
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return [_unzstd]
    if encoding == "deflate":
        return [partial(_inflate, window=_ZLIB), partial(_inflate, window=_DEFLATE)]
    return [_unbrotli] if encoding == "br" else []


def _inflate(packed: bytes, window: int) -> bytes:
    return zlib.decompressobj(window).decompress(packed, MAX_RECORD + 1)


def _unzstd(packed: bytes) -> bytes:
    with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(packed) as plain:
        return plain.read(MAX_RECORD + 1)


def _unbrotli(packed: bytes) -> bytes:
    for name in ("brotli", "brotlicffi"):
        try:
            library: Any = importlib.import_module(name)
        except ImportError:
            continue
        try:
            return bytes(library.decompress(packed))
        except library.error as error:
            raise ValueError from error
    raise ValueError


def _text_of(data: bytes) -> str | None:
    chunks = list(_chunks_of(data))
    if chunks:
        return msgspec.json.encode(chunks).decode()
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _chunks_of(data: bytes) -> Iterator[Any]:
    """Yield the events of an AWS event stream, each under its name; nothing for what is none."""
    while len(data) > _FRAMING:
        size, head = int.from_bytes(data[:4]), int.from_bytes(data[4:8])
        if size > len(data) or head > size - _FRAMING or zlib.crc32(data[:8]) != int.from_bytes(data[8:12]):
            return
        names = dict(_headers_of(data[_FRAME_HEAD : _FRAME_HEAD + head]))
        payload = data[_FRAME_HEAD + head : size - _CHECKSUM]
        data = data[size:]
        try:
            event = decode(payload)
            wrapped = event.get("bytes") if type(event) is dict else None
            yield decode(base64.b64decode(wrapped)) if type(wrapped) is str else {names.get(":event-type", ""): event}
        except (Refusal, binascii.Error):
            continue


def _headers_of(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the headers of a frame whose value is text."""
    while len(data) > 2:
        end = 1 + data[0]
        name, kind = data[1:end].decode("ascii", "replace"), data[end : end + 1]
        begin = end + 1
        size = _SIZES.get(kind[0]) if kind else None
        if size is None:
            begin, size = end + 3, int.from_bytes(data[end + 1 : end + 3])
        if kind and kind[0] == _TEXT:
            yield name, data[begin : begin + size].decode("utf-8", "replace")
        data = data[begin + size :]
