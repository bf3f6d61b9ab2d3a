"""Sizes are read from the first bytes, and images cost what their vendors' pages say."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.tokens.requests.media import RATES, SCHEMES, media_tokens, read_media, read_text
from callcost.tokens.requests.types import AUDIO, DOCUMENT, IMAGE, Media

SIDES = st.integers(1, 16_000)


def encode(data: bytes, mime: str = "") -> str:
    text = base64.b64encode(data).decode()
    return f"data:{mime};base64,{text}" if mime else text


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(200)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(200)


def webp(chunk: bytes, body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 300) + b"WEBP" + chunk + struct.pack("<I", 280) + body + bytes(200)


def webp_lossy(width: int, height: int) -> bytes:
    return webp(b"VP8 ", bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width, height))


def webp_lossless(width: int, height: int) -> bytes:
    return webp(b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14))


def webp_extended(width: int, height: int) -> bytes:
    return webp(b"VP8X", bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"))


def jpeg(width: int, height: int, metadata: int = 5000) -> bytes:
    app = b"\xff\xe1" + struct.pack(">H", metadata + 2) + bytes(metadata)
    fill = b"\xff\xff"
    frame = b"\xff\xc2" + struct.pack(">HBHH", 17, 8, height, width)
    return b"\xff\xd8" + app + fill[:1] + frame + bytes(50)


@pytest.mark.parametrize("write", [png, gif, webp_lossy, webp_lossless, webp_extended, jpeg])
@given(width=SIDES, height=SIDES)
def test_the_size_stands_in_the_header(write: Callable[[int, int], bytes], width: int, height: int) -> None:
    content = write(width, height)

    for source in (encode(content), encode(content, "image/any")):
        media = read_media(IMAGE, source)
        assert (media.width, media.height, media.bytes) == (width, height, len(content))


@given(st.binary(max_size=40), st.sampled_from([png, gif, webp_lossy, webp_extended, jpeg]), st.integers(0, 60))
def test_a_damaged_image_has_no_size(noise: bytes, write: Callable[[int, int], bytes], cut: int) -> None:
    for content in (noise, write(800, 600)[:cut]):
        media = read_media(IMAGE, encode(content))
        assert media.width >= 0
        assert media_tokens("gpt-4o", media) > 0


@given(st.text(), st.sampled_from([IMAGE, AUDIO, DOCUMENT]))
def test_any_text_is_read(source: str, kind: str) -> None:
    assert read_media(kind, source).kind == kind
    assert isinstance(read_text(source), str)


@pytest.mark.parametrize("source", ["https://example.org/a.png", "gs://bucket/a.png", "data:image/png,xyz", ""])
def test_nothing_is_known_of_a_link(source: str) -> None:
    assert read_media(IMAGE, source, "high") == Media(IMAGE, detail="high")


def test_a_text_file_is_text() -> None:
    assert read_text(encode("naïve".encode(), "text/plain")) == "naïve"


def test_the_pages_of_a_pdf_are_its_page_objects() -> None:
    content = b"%PDF-1.7 /Type /Pages /Type/Page\n/Type /Page /Type /PageLabel"

    assert read_media(DOCUMENT, encode(content)).pages == 2
    assert read_media(DOCUMENT, encode(content, "text/csv")).pages == 0
    assert read_media(DOCUMENT, encode(b"PK" + content)).pages == 0


# platform.openai.com/docs/guides/images-vision: the worked examples.
@pytest.mark.parametrize(
    ("model", "width", "height", "detail", "tokens"),
    [
        ("gpt-4o", 1024, 1024, "high", 765),
        ("gpt-4o", 2048, 4096, "high", 1105),
        ("gpt-4o", 4096, 8192, "low", 85),
        ("gpt-4o-mini", 512, 512, "", 2833 + 5667),
        ("o1", 512, 512, "", 75 + 150),
        ("gpt-5", 512, 512, "low", 70),
        ("gemini-2.0-flash", 384, 384, "", 258),
        ("gemini-2.0-flash", 769, 768, "", 516),
    ],
)
def test_images_cost_what_the_vendors_pages_say(model: str, width: int, height: int, detail: str, tokens: int) -> None:
    assert media_tokens(model, Media(IMAGE, width, height, 1, detail)) == tokens


@given(SIDES, SIDES, st.sampled_from([rate.pattern for rate in RATES]))
def test_no_image_is_free_or_beyond_bounds(width: int, height: int, pattern: str) -> None:
    rate = next(rate for rate in RATES if rate.pattern == pattern)

    found = SCHEMES[rate.scheme](rate, width, height)

    assert 0 < found < 200_000


def test_a_recording_costs_by_its_length_and_a_document_by_its_pages() -> None:
    assert media_tokens("gpt-4o", Media(AUDIO, bytes=100_000)) == 100
    assert media_tokens("claude-sonnet-4-5", Media(DOCUMENT, pages=3)) == 3 * 1620
    assert media_tokens("claude-sonnet-4-5", Media(DOCUMENT)) == 1620


@pytest.mark.parametrize("width", [60, 76])
def test_base64_that_is_wrapped_into_lines_or_safe_for_urls_is_the_same_file(width: int) -> None:
    text = base64.b64encode(png(640, 480) + b"\xfb\xff\xfe").decode()
    lines = "\n".join(text[place : place + width] for place in range(0, len(text), width)) + "\n\n"
    safe = text.replace("+", "-").replace("/", "_")

    assert read_media(IMAGE, lines) == read_media(IMAGE, text) == read_media(IMAGE, safe)
    assert read_media(IMAGE, f"data:image/png;base64,{lines}").width == 640


# ai.google.dev/gemini-api/docs/tokens and recorded calls: 32 tokens a second on 2.5, 25 on 3; a lone PDF on 2.0.
@pytest.mark.parametrize(
    ("model", "media", "alone", "tokens"),
    [
        ("gemini-2.5-flash", Media(AUDIO, milliseconds=3250), False, 104),
        ("gemini-3-flash-preview", Media(AUDIO, milliseconds=3200), False, 80),
        ("gemini-2.0-flash", Media(DOCUMENT, pages=1), True, 1290),
        ("gemini-2.0-flash", Media(DOCUMENT, pages=1), False, 258),
    ],
)
def test_recordings_and_documents_cost_what_was_recorded(model: str, media: Media, alone: bool, tokens: int) -> None:
    assert media_tokens(model, media, alone=alone) == tokens
