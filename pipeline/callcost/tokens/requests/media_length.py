"""How long recordings, films and documents are, from their own headers: wav, mp3, mp4 (m4a, mov) and PDF.

Nothing is decoded. A file whose header cannot be read has length 0: not known.
"""

from __future__ import annotations

import re
import struct
import zlib

_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_OBJECTS = re.compile(rb"/Type\s*/ObjStm.{0,400}?stream\r?\n", re.DOTALL)  # where page objects may be packed
_MOST_UNPACKED = 4 << 20  # bytes of one packed stream
_KBITS = {  # of an mp3 frame, by its version (1, else 2) and layer 3
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
}
_HERTZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}


def milliseconds_of(data: bytes, size: int) -> int:
    """Return how long a recording or a film is; 0: not known.

    Args:
        data: the file, or as much of it as was decoded.
        size: bytes of the whole file.
    """
    try:
        if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
            return _wav(data, size)
        if data[4:8] == b"ftyp":
            return _mp4(data)
        return _mp3(data, size)
    except (struct.error, IndexError):  # it ends within its header
        return 0


def _wav(data: bytes, size: int) -> int:
    """Return the bytes of sound over the bytes a second that the format states."""
    rate, place = 0, 12
    while place + 8 <= len(data):
        name, (length,) = data[place : place + 4], struct.unpack_from("<I", data, place + 4)
        if name == b"fmt ":
            (rate,) = struct.unpack_from("<I", data, place + 16)
        if name == b"data":
            return min(length, size - place - 8) * 1000 // rate if rate else 0
        place += 8 + length + length % 2
    return 0


def _mp4(data: bytes) -> int:
    """Return the duration that the header of the film states (ISO 14496-12, mvhd)."""
    place = data.find(b"mvhd")
    if place < 0:
        return 0
    long = data[place + 4] == 1 if len(data) > place + 4 else False
    scale, length = struct.unpack_from(">IQ" if long else ">II", data, place + (24 if long else 16))
    return int(length * 1000 // scale) if scale else 0


def _mp3(data: bytes, size: int) -> int:
    """Return the frames that the first one counts, or the size over its bits a second."""
    start = 0
    if data[:3] == b"ID3" and len(data) > 10:
        a, b, c, d = data[6:10]
        start = 10 + (a << 21 | b << 14 | c << 7 | d)
    while start + 4 <= len(data) and not (data[start] == 0xFF and data[start + 1] & 0xE0 == 0xE0):
        start = data.find(b"\xff", start + 1)
        if start < 0:
            return 0
    (head,) = struct.unpack_from(">I", data, start)
    version, layer = head >> 19 & 3, head >> 17 & 3
    kbits = _KBITS[1 if version == 3 else 2][head >> 12 & 15]
    if layer != 1 or version not in _HERTZ or head >> 10 & 3 == 3 or not kbits:
        return 0
    hertz = _HERTZ[version][head >> 10 & 3]
    counted = max(data.find(mark, start, start + 200) for mark in (b"Xing", b"Info"))
    if counted >= 0 and data[counted + 7] & 1:
        (frames,) = struct.unpack_from(">I", data, counted + 8)
        return int(frames * (1152 if version == 3 else 576) * 1000 // hertz)
    return (size - start) * 8 // kbits


def count_pages(data: bytes) -> int:
    """Return how many page objects a PDF holds, plain or in packed object streams; 0: none that can be read."""
    found = len(_PAGE.findall(data))
    for match in _OBJECTS.finditer(data) if not found else ():
        try:
            found += len(_PAGE.findall(zlib.decompressobj().decompress(data[match.end() :], _MOST_UNPACKED)))
        except zlib.error:
            continue
    return found
