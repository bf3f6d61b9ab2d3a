"""Images, recordings and documents: their size from the first bytes, and what an image costs in tokens.

Sizes are read from base64 data inside the body; nothing is fetched, nothing is decoded to pixels. Formulas:
platform.openai.com/docs/guides/images-vision, ai.google.dev/gemini-api/docs/tokens and
docs.anthropic.com/en/docs/build-with-claude/vision, each corrected where recorded usage says otherwise.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable

from pipeline.tokens.prompts import DOCUMENT, IMAGE, Media

HEADER_BYTES = 96  # enough for every format but JPEG, whose frame header follows its metadata
JPEG_BYTES = 1 << 20
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def read_media(kind: str, source: str, detail: str = "") -> Media:
    """Return what a base64 text (bare or a data URL) says about its image, recording or document.

    Args:
        kind: image, audio or document.
        source: base64 data, a data URL, or a link (of which nothing is known).
        detail: the level of detail that the request asks for.
    """
    data, mime = _payload(source)
    if not data:
        return Media(kind=kind, detail=detail)
    size = len(data) * 3 // 4 - data[-2:].count("=")
    width, height = _dimensions(data) if kind == IMAGE else (0, 0)
    pages = 1 if kind == DOCUMENT and mime.startswith("image/") else 0
    return Media(kind=kind, width=width, height=height, bytes=size, detail=detail, pages=pages)


def _payload(source: str) -> tuple[str, str]:
    if source.startswith("data:"):
        head, _, data = source.partition(",")
        return (data, head[5:].partition(";")[0]) if head.endswith(";base64") else ("", "")
    return ("", "") if "://" in source[:16] else (source, "")


def _dimensions(data: str) -> tuple[int, int]:
    head = _decode(data, HEADER_BYTES)
    if head.startswith(b"\xff\xd8"):
        return _jpeg_size(_decode(data, JPEG_BYTES))
    for magic, reader in _READERS:
        if head.startswith(magic):
            try:
                return reader(head)
            except (struct.error, IndexError):
                return 0, 0
    return 0, 0


def _decode(data: str, size: int) -> bytes:
    piece = data[: size * 4 // 3 // 4 * 4]
    try:
        return base64.b64decode(piece + "=" * (-len(piece) % 4))
    except (binascii.Error, ValueError):
        return b""


def _png_size(head: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", head, 16)
    return width, height


def _gif_size(head: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from("<HH", head, 6)
    return width, height


def _webp_size(head: bytes) -> tuple[int, int]:
    chunk = head[12:16]
    if head[8:12] != b"WEBP":
        return 0, 0
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    return 0, 0


def _jpeg_size(data: bytes) -> tuple[int, int]:
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        place += 2 if marker == 0xFF or 0xD0 <= marker <= 0xD8 else 2 + int.from_bytes(data[place + 2 : place + 4])
    return 0, 0


_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_READERS: tuple[tuple[bytes, Callable[[bytes], tuple[int, int]]], ...] = (
    (PNG_MAGIC, _png_size),
    (b"GIF8", _gif_size),
    (b"RIFF", _webp_size),
)
