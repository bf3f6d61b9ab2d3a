"""Lines of the dialects that the scanner reads, changed in one place each: mostly so that they are JSON still."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from tests.logs.damages import change_number, cut, deepen, flip, retype

_WORDS = (
    "null", "true", "0", "-0", "7", "1.0", "1e3", "0.1", "1730000000.1234567", "1000000000000", "1000000000001",
    "12345678901234567890", "9007199254740993", "-1", "01", ".5", "1.", "1e", "+1", "NaN", "nul", "tru", '""', '"a"',
    '"twelve bytes"', '"thirteen sign"', '"a\\"b"', '"\\u00e9"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\x"', '"\\u12"',
    '"é"', '"日本語"', '"\u2028"', '"\x01"', '"\x7f"', "[]", "{}", "[1,2]", '{"a":1}', "[", "{", '"', '{"a":1,"a":2}',
    " 1 ", '\t"a"', "1\r", "0.12345678901234567890123", "1e-7", "99999999999999999999.5", "123456789.123456789012",
)  # fmt: skip
_PAIRS = (
    '"model": "x"', '"id": "x"', '"usage": {}', '"metadata": null', '"total_tokens": 3', '"mod\\u0065l": "x"', '"": 1',
    '"prompt_tokens": 4', '"type": null', '"object": "x"', '"response": {}', '"spend": 0.5', '"choices": []',
)  # fmt: skip


def _strange_value(line: str, chance: random.Random) -> str:
    """Put a word of JSON, or nearly so, in the place of what follows a colon."""
    spots = [spot for spot, sign in enumerate(line) if sign == ":" and line[spot - 1 : spot] == '"']
    if not spots:
        return line
    start = chance.choice(spots) + 1
    end = min((line.find(sign, start) for sign in ",}]" if line.find(sign, start) >= 0), default=len(line))
    return line[:start] + chance.choice(_WORDS) + line[end:]


def _more_keys(line: str, chance: random.Random) -> str:
    """Put a key and its value where an object begins: it may be there already."""
    spots = [spot for spot, sign in enumerate(line) if sign == "{"]
    if not spots:
        return line
    start = chance.choice(spots) + 1
    return line[:start] + chance.choice(_PAIRS) + ", " * (line[start : start + 1] != "}") + line[start:]


def _blanks(line: str, chance: random.Random) -> str:
    spots = [spot for spot, sign in enumerate(line) if sign in ",:{}[]"]
    if not spots:
        return line
    start = chance.choice(spots) + chance.randrange(2)
    return line[:start] + chance.choice((" ", "  ", "\t", "\r", "\x0b", "\xa0")) + line[start:]


def _of_text(change: Callable[[str, random.Random], str]) -> Callable[[bytes, random.Random], bytes]:
    return lambda line, chance: change(line.decode(), chance).encode()


def _other_value(line: bytes, chance: random.Random) -> bytes:
    return json.dumps(retype(json.loads(line), chance), ensure_ascii=chance.random() < 0.5).encode(errors="replace")


def _shuffled(line: bytes, chance: random.Random) -> bytes:
    pairs: list[tuple[str, Any]] = list(json.loads(line).items())
    chance.shuffle(pairs)
    return json.dumps(dict(pairs), separators=chance.choice(((",", ":"), (", ", ": "))), ensure_ascii=False).encode()


def _unchanged(line: bytes, _chance: random.Random) -> bytes:
    return line


_CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    *(_of_text(change) for change in (_strange_value, _strange_value, _strange_value, _more_keys, _blanks)),
    _other_value, _other_value, _shuffled, _unchanged, cut, flip, deepen, change_number,
)  # fmt: skip


def mutated(line: bytes, chance: random.Random) -> bytes:
    """Return a line that is changed in some way, on one line still."""
    return chance.choice(_CHANGES)(line, chance).replace(b"\n", b" ")
