"""A cost map as a file: JSON as it is published, or a wheel of LiteLLM that holds it.

Nothing of a wheel is unpacked to the disk, and nothing in it is run. Whether the map may be trusted is left to
``checks.py``.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import IO, NamedTuple

from callcost.errors import PriceError

MAX_BYTES = 64 << 20  # of a map, unpacked; that of November 2026 has 3.5 MB
_ZIP = b"PK\x03\x04"
# Where LiteLLM keeps the map that it ships: https://github.com/BerriAI/litellm/tree/main/litellm
_MEMBER = re.compile(r"(?:.*/)?model_prices_and_context_window(?:_backup)?\.json")
# https://packaging.python.org/en/latest/specifications/binary-distribution-format/#file-contents
_RELEASE = re.compile(r"([A-Za-z0-9._]+)-([A-Za-z0-9._!+]+)\.dist-info/METADATA")
_HINT = "Give a wheel of LiteLLM, or its model_prices_and_context_window.json"


class MapFile(NamedTuple):
    """A map as it was found.

    Attributes:
        text: the map, as JSON.
        release: (project, version) of the wheel that it was in; None: it was in none.
    """

    text: bytes
    release: tuple[str, str] | None


def read_map_file(file: IO[bytes], named: str) -> MapFile:
    """Read a map, out of a wheel where the file is one.

    Args:
        file: from its beginning.
        named: what messages call it.

    Raises:
        PriceError: it is too large, a damaged wheel, or one without a map.
    """
    head = file.read(len(_ZIP))
    if head == _ZIP and file.seekable():
        return _read_wheel(file, named)
    text = head + file.read(MAX_BYTES)
    if head == _ZIP:
        return _read_wheel(io.BytesIO(text), named)
    if len(text) > MAX_BYTES:
        raise PriceError(f"{named} has more than {MAX_BYTES >> 20} MiB: no cost map", hint=_HINT)
    return MapFile(text, None)


def _read_wheel(file: IO[bytes], named: str) -> MapFile:
    try:
        with zipfile.ZipFile(file) as wheel:
            names = wheel.namelist()
            found = [name for name in names if _MEMBER.fullmatch(name)]
            if len(found) != 1:
                held = "no cost map" if not found else f"{len(found):,} cost maps"
                raise PriceError(f"{named} holds {held}", hint=_HINT)
            with wheel.open(found[0]) as member:
                text = member.read(MAX_BYTES + 1)  # whatever size it is said to have
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise PriceError(f"{named} cannot be unpacked ({error})", hint=_HINT) from error
    if len(text) > MAX_BYTES:
        raise PriceError(f"the cost map in {named} has more than {MAX_BYTES >> 20} MiB", hint=_HINT)
    release = next(filter(None, map(_RELEASE.fullmatch, names)), None)
    return MapFile(text, (release[1], release[2]) if release else None)
