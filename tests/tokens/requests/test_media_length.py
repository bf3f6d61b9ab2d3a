"""The length of recordings, films and documents stands in their headers."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.tokens.requests.media_length import count_pages, milliseconds_of


def wav(seconds: int, rate: int = 16_000) -> bytes:
    form = struct.pack("<HHIIHH", 1, 1, rate, rate * 2, 2, 16)
    sound = bytes(seconds * rate * 2)
    parts = b"WAVEfmt " + struct.pack("<I", 16) + form + b"LIST\x04\0\0\0abcddata" + struct.pack("<I", len(sound))
    return b"RIFF" + struct.pack("<I", 0) + parts + sound


MP3 = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) + b"\xff\xfb\x90\x00" + bytes(15_996)  # 128 kbit/s, 44,100 Hz


def mp4(milliseconds: int) -> bytes:
    return b"\0\0\0\x18ftypisom" + bytes(12) + b"\0\0\0\x6cmvhd" + struct.pack(">4xIIII", 0, 0, 1000, milliseconds)


@pytest.mark.parametrize(
    ("data", "length"), [(wav(3), 3000), (MP3, 1000), (mp4(4242), 4242), (b"", 0), (b"no recording", 0), (b"RIFF", 0)]
)
def test_the_length_of_a_recording(data: bytes, length: int) -> None:
    assert milliseconds_of(data, len(data)) == length


@pytest.mark.parametrize("frames", [1, 1000])
def test_an_mp3_may_count_its_frames(frames: int) -> None:
    data = b"\xff\xfb\x90\x00" + bytes(32) + b"Xing" + struct.pack(">II", 1, frames) + bytes(500)

    assert milliseconds_of(data, 10**6) == frames * 1152 * 1000 // 44_100


@given(st.binary(max_size=200), st.sampled_from([b"", b"RIFF0000WAVE", b"0000ftyp0000mvhd", b"\xff\xfb", b"ID3"]))
def test_any_bytes_have_a_length(data: bytes, head: bytes) -> None:
    assert milliseconds_of(head + data, 100) >= 0
    assert count_pages(head + data) >= 0


def test_pages_are_found_plain_and_packed() -> None:
    pages = b"<< /Type /Page >>" * 3 + b"<< /Type /Pages >>"
    packed = b"%PDF-1.5\n1 0 obj << /Type /ObjStm /N 4 >>\nstream\n" + zlib.compress(pages) + b"\nendstream"

    assert count_pages(b"%PDF-1.4" + pages) == 3
    assert count_pages(packed) == 3
    assert count_pages(b"%PDF-1.5 << /Type /ObjStm >>\nstream\nbroken") == 0
