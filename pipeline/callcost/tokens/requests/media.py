"""Images, recordings, films and documents: their size from the first bytes, and what they cost in tokens.

Sizes are read from base64 data inside the body; nothing is fetched, nothing is decoded to pixels. Formulas:
platform.openai.com/docs/guides/images-vision, ai.google.dev/gemini-api/docs/tokens and
docs.anthropic.com/en/docs/build-with-claude/vision, each corrected where recorded usage says otherwise.
"""

from __future__ import annotations

import base64
import binascii
import functools
import math
import re
import struct
from collections.abc import Callable
from typing import NamedTuple

from callcost.tokens.requests.media_length import count_pages, milliseconds_of
from callcost.tokens.requests.types import AUDIO, DOCUMENT, IMAGE, VIDEO, Media

HEADER_BYTES = 96  # enough for every format but JPEG, whose frame header follows its metadata
JPEG_BYTES = 1 << 20
PDF_BYTES = 32 << 20
RECORDING_BYTES = 32 << 20
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def read_media(kind: str, source: str, detail: str = "") -> Media:
    """Return what a base64 text (bare or a data URL) says about its image, recording, film or document.

    Args:
        kind: "image", "audio", "video" or "document".
        source: base64 data, a data URL, or a link (of which nothing is known).
        detail: the level of detail that the request asks for.
    """
    data, mime = _payload(source)
    if not data:
        return Media(kind=kind, detail=detail)
    size = len(data) * 3 // 4 - data[-2:].count("=")
    width, height = _dimensions(data) if kind == IMAGE else (0, 0)
    pages = _pages(data) if kind == DOCUMENT and mime in {"", "application/pdf"} else 0
    length = milliseconds_of(_decode(data, RECORDING_BYTES), size) if kind in {AUDIO, VIDEO} else 0
    return Media(kind, width, height, size, detail, pages, length)


def read_text(source: str) -> str:
    """Return the text of a text file given as base64 (bare or a data URL)."""
    data, _ = _payload(source)
    return _decode(data, len(data)).decode("utf-8", "replace")


def _pages(data: str) -> int:
    """Return how many page objects a PDF holds; 0: none, or no PDF."""
    content = _decode(data, PDF_BYTES)
    return count_pages(content) if content.startswith(b"%PDF") else 0


def _payload(source: str) -> tuple[str, str]:
    """Return base64 data without the line ends it may be wrapped with, and the type that a data URL states."""
    data, mime = _bare(source)
    return ("".join(data.split()) if "\n" in data or " " in data else data), mime


def _bare(source: str) -> tuple[str, str]:
    if source.startswith("data:"):
        head, _, data = source.partition(",")
        return (data, head[5:].partition(";")[0]) if head.endswith(";base64") else ("", "")
    return ("", "") if "://" in source[:16] else (source, "")


def _dimensions(data: str) -> tuple[int, int]:
    head = _decode(data, HEADER_BYTES)
    if head.startswith(b"\xff\xd8"):
        return _jpeg_size(_decode(data, JPEG_BYTES))
    try:
        for magic, layout, place in _SIZES:
            if head.startswith(magic):
                width, height = struct.unpack_from(layout, head, place)
                return width, height
        return _webp_size(head) if head.startswith(b"RIFF") else (0, 0)
    except struct.error:
        return 0, 0


def _decode(data: str, size: int) -> bytes:
    piece = data[: size * 4 // 3 // 4 * 4]
    try:
        padded = piece + "=" * (-len(piece) % 4)
        return base64.b64decode(padded, altchars=b"-_" if "-" in piece or "_" in piece else None)
    except (binascii.Error, ValueError):
        return b""


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
        if marker == 0xFF:  # a fill byte
            place += 1
        else:
            bare = 0xD0 <= marker <= 0xD8  # a marker without a body
            place += 2 if bare else 2 + int.from_bytes(data[place + 2 : place + 4])
    return 0, 0


_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SIZES = ((PNG_MAGIC, ">II", 16), (b"GIF8", "<HH", 6))  # how a file begins, how its size is packed, and where


class Rate(NamedTuple):
    """One row: what media cost the models that a pattern finds.

    Attributes:
        pattern: regular expression that is found in the lower-case names of the models.
        scheme: how an image's size becomes tokens; a key of ``SCHEMES``.
        base: tokens of any image.
        step: tokens of a tile, thousandths per patch, or pixels of a cell or of the longest side.
        page: tokens of a document's page.
        alone: times as much for the one document of a prompt.
        audio: thousandths of a token per millisecond of a recording.
        video: thousandths of a token per millisecond of a film, with its sound.
    """

    pattern: str
    scheme: str
    base: int
    step: int
    page: int = 1100
    alone: int = 1
    audio: int = 25
    video: int = 295


# First match wins.
RATES = (
    Rate(r"gpt-4o-mini", "tiles", 2833, 5667, page=250),
    Rate(r"gpt-4\.1-mini", "patches", 1, 1620, page=250),
    Rate(r"gpt-4\.1-nano", "patches", 1, 2460, page=250),
    Rate(r"o4-mini", "patches", 1, 1720),
    Rate(r"gpt-5-mini", "patches", 1, 1200, page=500),
    Rate(r"gpt-5-nano", "patches", 1, 1500, page=500),
    Rate(r"gpt-5\.[2-9]|gpt-[6-9]", "patches", 1, 1200, page=500),
    Rate(r"gpt-5", "tiles", 70, 140, page=500),
    Rate(r"(^|/)o[1-9](-|$)", "tiles", 75, 150),
    Rate(r"gpt-4|gpt-3|chatgpt", "tiles", 85, 170, page=250, audio=10),
    Rate(r"claude.*(opus|sonnet|haiku)-(4[.-][789]|[5-9])|fable", "blocks", 4, 2576, page=1640),
    Rate(r"claude", "blocks", 4, 1568, page=1620),
    Rate(r"gemini-2\.5", "flat", 258, 0, page=258, audio=32),
    Rate(r"gemini-[3-9]|gemini-(flash|pro)", "flat", 1092, 0, page=520, video=70),
    Rate(r"gemini", "crops", 258, 258, page=258, alone=5, video=258),
    Rate(r"mistral-(small|medium)|magistral", "cells", 2, 28),
    Rate(r"mistral|pixtral", "cells", 2, 16),
    Rate(r"qwen", "cells", 2, 28),
    Rate(r"llama-?4", "flat", 1150, 0),
    Rate(r"llama", "flat", 145, 0),
    Rate(r"", "flat", 800, 0),
)
SIDE = 1024  # pixels taken for a side that is not known
AUDIO_BYTES = 1000  # of a recording of unknown length that count as one token


def media_tokens(model: str, media: Media, *, alone: bool = False) -> int:
    """Return what an image, a recording, a film or a document costs a model.

    Args:
        model: the model's name, in lower case.
        alone: whether it is the only one of the prompt.
        media: what is known of it; an unknown size counts as ``SIDE`` squared, an unknown length as one page.
    """
    rate = _rate(model)
    if media.kind == IMAGE and media.detail == "low" and rate.scheme == "tiles":
        return rate.base
    if media.kind == IMAGE:
        return SCHEMES[rate.scheme](rate, media.width or SIDE, media.height or SIDE)
    if media.kind in {AUDIO, VIDEO}:
        each = rate.audio if media.kind == AUDIO else rate.video
        return (media.milliseconds * each + 500) // 1000 if media.milliseconds else media.bytes // AUDIO_BYTES
    return rate.page * max(1, media.pages) * (rate.alone if alone else 1)


@functools.lru_cache(maxsize=1024)
def _rate(model: str) -> Rate:
    return next(rate for rate in RATES if re.search(rate.pattern, model))


def _tiles(rate: Rate, width: int, height: int) -> int:
    """Count OpenAI's tiles of 512: the image fits 2048 squared, then its short side 768."""
    shrink = min(1.0, 2048 / max(width, height))
    shrink *= min(1.0, 768 / (min(width, height) * shrink))
    across, down = (math.ceil(round(side * shrink) / 512) for side in (width, height))
    return rate.base + rate.step * across * down


def _patches(rate: Rate, width: int, height: int) -> int:
    """Count OpenAI's patches of 32, at most 1,536 of them."""
    return math.ceil(min(1536, _squares(width, height, 32)) * rate.step / 1000) + rate.base


def _blocks(rate: Rate, width: int, height: int) -> int:
    """Count Claude's blocks of 28, after the long side is fitted to ``step`` pixels."""
    blocks = _squares(width, height, 28, rate.step)
    return (min(blocks, 1568) if rate.step == 1568 else blocks) + rate.base


def _crops(rate: Rate, width: int, height: int) -> int:
    """Count Gemini 2.0's crops of 768; a small image is one."""
    return rate.step * (1 if max(width, height) <= 384 else _squares(width, height, 768))


def _cells(rate: Rate, width: int, height: int) -> int:
    """Count cells of ``step`` pixels, after the long side is fitted to 1,540."""
    return _squares(width, height, rate.step, 1540) + rate.base


def _flat(rate: Rate, _width: int, _height: int) -> int:
    """Return what an image of any size costs."""
    return rate.base


def _squares(width: int, height: int, side: int, longest: float = math.inf) -> int:
    """Return how many squares of some pixels cover an image whose long side is fitted to ``longest``."""
    shrink = min(1.0, longest / max(width, height))
    return math.ceil(width * shrink / side) * math.ceil(height * shrink / side)


SCHEMES: dict[str, Callable[[Rate, int, int], int]] = {
    "tiles": _tiles, "patches": _patches, "blocks": _blocks, "crops": _crops, "cells": _cells, "flat": _flat,
}  # fmt: skip
