"""Bytes to JSON values and back: one strict decoder, one canonical encoder, digests.

This file knows JSON and what is wrong with it; what a value means is for the dialects. msgspec decodes, and where it
refuses what RFC 8259 allows (a lone surrogate, an integer of 5,000 digits, 1e400), the stdlib's decoder is asked for
that one value. Nothing here puts a value into a message: a ``Refusal`` names a reason and a position.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import blake2b
from itertools import accumulate
from typing import Any, NoReturn

import msgspec

MAX_DEPTH = 200  # levels of nesting; a fixed number, so that the depth of the caller's own stack decides nothing
ROOM = 256 << 20  # bytes of memory for the values of one record, besides their text
_LIGHT = 16 << 20  # bytes of text whose values are not weighed, as the columnar reader does not
_SHORT_STRING = 64  # takes as much as its signs seem to
_WEIGHTS = {b",": 40, b"[": 72, b"{": 240, b":": 100}  # bytes of a value, a list, an object, a key, in CPython
_MAX_DIGITS = 400  # an integer with more is read as infinite; int() itself stops at 4,300 digits
_BRACKETS = bytes.maketrans(b"{[}]", b"\x01\x01\xff\xff")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"{[}]")
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")
_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder(order="deterministic")


# What a gap in what reads a record raises; it must not end the run.
UNFORESEEN = (
    TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError,
    msgspec.MsgspecError,  # a ValueError in newer versions only
)  # fmt: skip


class Refusal(Exception):  # noqa: N818 - not an error: how a record says that it cannot become a call
    """A record cannot become a call.

    Args:
        reason: a slug of tables.REJECT_REASONS.
        detail: a field or a position, never content.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


def decode(data: bytes, room: int = ROOM) -> Any:
    """Decode one JSON value.

    Args:
        data: the value as text.
        room: bytes of memory that it may take.

    Raises:
        Refusal: the bytes are no JSON, no UTF-8, hold NUL bytes, nest too deeply or would take too much memory.
    """
    if len(data) > min(_LIGHT, room >> 4) and _weight_of(data) > room and _weight_without_text(data) > room:
        raise Refusal("too_large", f"its values take more than {room >> 20} MiB of memory: raise --max-record")
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH and depth_of(data) > MAX_DEPTH:
        raise Refusal("too_deep", f"more than {MAX_DEPTH} levels")
    try:
        return _decoder.decode(data)
    except RecursionError:
        raise Refusal("too_deep", f"more than {MAX_DEPTH} levels") from None
    except (ValueError, msgspec.MsgspecError):  # UnicodeDecodeError is a ValueError
        return _decode_slowly(data)


def decode_text(text: Any) -> Any:
    """Decode a JSON object or array kept as text inside a column; the value itself where it is neither, or no text."""
    if type(text) is not str or not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return decode(text.encode())
    except (Refusal, UnicodeEncodeError):
        return text


def dict_in(value: Any) -> dict[str, Any]:
    """Return a value that is an object; an empty one in the place of any other."""
    return value if type(value) is dict else {}


def list_in(value: Any) -> list[Any]:
    """Return a value that is an array; an empty one in the place of any other."""
    return value if type(value) is list else []


def dicts_in(value: Any) -> list[dict[str, Any]]:
    """Return the objects among the elements of an array; none where the value is no array."""
    return [item for item in list_in(value) if type(item) is dict]


def _weight_of(data: bytes) -> int:
    """Return about how much memory the values take that text holds, without that of their own text."""
    return sum(weight * data.count(sign) for sign, weight in _WEIGHTS.items())


def _weight_without_text(data: bytes) -> int:
    """Return what _weight_of does, without the signs that stand inside long strings."""
    weight = _weight_of(data)
    for string in _STRING.finditer(data):
        if string.end() - string.start() > _SHORT_STRING:
            weight -= _weight_of(string[0])
    return weight


def depth_of(data: bytes) -> int:
    """Return how deeply brackets nest outside strings; bytes that are no JSON give some number."""
    steps = _STRING.sub(b"", data).translate(_BRACKETS, _NOT_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0)


def canonical(value: Any) -> bytes:
    """Return the one spelling of a JSON value: sorted keys, no space; what is no JSON becomes its text."""
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        text = json.dumps(_with_text_keys(value), sort_keys=True, separators=(",", ":"), default=str)
        return text.encode("utf-8", "replace")


def digest(value: Any) -> bytes:
    """Return the blake2b-128 of the canonical bytes."""
    return blake2b(canonical(value), digest_size=16).digest()


def digest_of_record(record: Mapping[str, Any]) -> bytes:
    """Return the digest of an object; a key with null is as good as none."""
    return digest({key: value for key, value in record.items() if value is not None})


def _decode_slowly(data: bytes) -> Any:
    if b"\0" in data:
        raise Refusal("nul_bytes", f"byte {data.index(0)} of the record")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Refusal("invalid_utf8", f"byte {error.start} of the record") from None
    try:
        value = json.loads(text, parse_int=_parse_int, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise Refusal("broken_json", f"character {error.pos} of the record") from None
    except RecursionError:
        raise Refusal("too_deep", f"more than {MAX_DEPTH} levels") from None
    return _mend(value)


def _parse_int(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise Refusal("broken_json", f"{name} is no JSON")


def _mend(value: Any) -> Any:
    """Replace lone surrogates, which no encoder takes, by U+FFFD."""
    if isinstance(value, str):
        return _LONE_SURROGATES.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_mend(key): _mend(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_mend(item) for item in value]
    return value


def _with_text_keys(value: Any) -> Any:
    """Make the keys of mappings text, as JSON has them."""
    if isinstance(value, Mapping):
        return {str(key): _with_text_keys(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_text_keys(item) for item in value]
    return value
