"""What kind of container a file is, told by its first bytes.

Lines of JSON are what a file is taken for unless something else is certain, so that a broken first line costs itself
only. Kinds that are never logs of calls are refused as a whole, with what to do instead.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from pipeline.logs.containers import BOM, Raw, ValueScanner
from pipeline.logs.decode import Refusal, decode

SAMPLE = 256 << 10
_SAMPLE_LINES = 50
_JSON_STARTS = (b"{", b"[")
_ARRAY = re.compile(rb'\[\s*(?:[{\["\]]|(?:true|false|null|-?\d[\d.eE+-]*)\s*[,\]]|$)')
_SSE = re.compile(rb"(?:event|data|id|retry):|:")


class Refused(msgspec.Struct, frozen=True):
    """A kind of file that is never a log of calls.

    Attributes:
        container: its name.
        pattern: what the file begins with.
        reason: a slug of REJECT_REASONS.
        detail: what to do instead.
        certain: the beginning alone tells; else no line of the sample may look like JSON.
    """

    container: str
    pattern: re.Pattern[bytes]
    reason: str
    detail: str
    certain: bool


def _refused(container: str, pattern: bytes, reason: str, detail: str, *, certain: bool = False) -> Refused:
    return Refused(container, re.compile(pattern, re.DOTALL), reason, detail, certain)


REFUSED = (
    _refused("zip", rb"PK\x03\x04", "unreadable_file", "a zip archive: unpack it first", certain=True),
    _refused("bzip2", rb"BZh[1-9]1AY&SY", "unreadable_file", "bzip2: unpack it first", certain=True),
    _refused("xz", rb"\xfd7zXZ\x00", "unreadable_file", "xz: unpack it first", certain=True),
    _refused("utf16", rb"\xff\xfe|\xfe\xff", "invalid_utf8", "UTF-16 text: convert it to UTF-8", certain=True),
    _refused("binary", rb".{0,200}?\x00", "unreadable_file", "binary data: give text logs or Parquet"),
    _refused(
        "access_log",
        rb'\S+ \S+ \S+ \[\d\d/\w{3}/\d{4}:[^\]]*\] "',
        "no_usage_possible",
        "a web server's access log holds neither tokens nor text: log the response bodies",
    ),
    _refused(
        "csv",
        rb'"?[A-Za-z_][\w .-]*"?(?:,"?[A-Za-z_][\w .()-]*"?){3,}\r?(?:\n|$)',
        "unknown_dialect",
        "CSV: convert it to JSONL or Parquet",
    ),
    _refused("yaml", rb"(?:---\s+)?(?:interactions|version):\s", "unknown_dialect", "YAML: convert it to JSON"),
    _refused("prose", rb"(?![\d\"-])(?:[^\n]*\S[^\n]*\n\s*){4}\S", "unknown_dialect", "no JSON in its first lines"),
)
REFUSALS = {refused.container: refused for refused in REFUSED}


def sniff(sample: bytes) -> str:
    """Return the container that a file begins like: jsonl, json, sse, parquet, or one of REFUSALS.

    Args:
        sample: the first SAMPLE uncompressed bytes, or all if there are fewer.
    """
    if sample.startswith(b"PAR1"):
        return "parquet"
    text = sample.removeprefix(BOM).lstrip()
    lines = _lines_of(text, cut=len(sample) >= SAMPLE)
    hopeful = any(line[:1] in _JSON_STARTS for line in lines)
    if text.startswith(b"["):
        return _sniff_array(lines)
    if text.startswith(b"{"):
        return "jsonl" if any(map(_is_object, lines)) else _sniff_object(text, lines)
    if _SSE.match(text):
        return "sse"
    refused = (kind.container for kind in REFUSED if (kind.certain or not hopeful) and kind.pattern.match(text))
    return next(refused, "jsonl")


def _lines_of(text: bytes, *, cut: bool) -> list[bytes]:
    """Return the first lines that hold something, without the one that the sample's end cuts off."""
    lines = text.split(b"\n")
    if cut and len(lines) > 1:
        lines.pop()
    return [line for line in map(bytes.strip, lines[:_SAMPLE_LINES]) if line]


def _sniff_array(lines: Sequence[bytes]) -> str:
    """Tell one array from lines that are arrays, and from a log line that begins with its time in brackets."""
    if not _ARRAY.match(lines[0]):
        return "jsonl"
    if len(lines) == 1:
        return "json"
    try:
        decode(lines[0])
    except Refusal:
        return "json"
    return "jsonl"


def _sniff_object(text: bytes, lines: Sequence[bytes]) -> str:
    """Tell objects spread over lines, or joined without a break, from a broken line."""
    if lines[0].endswith((b"{", b"[", b",", b":")) and len(lines) > 1:
        return "json"
    first = next((part for part in ValueScanner().feed(text) if isinstance(part, Raw)), None)
    joined = first is not None and text[first.offset + len(first.data) :].lstrip(b" \t").startswith(b"{")
    return "json" if first and joined and _is_object(first.data) else "jsonl"


def _is_object(line: bytes) -> bool:
    if not line.startswith(b"{"):
        return False
    try:
        return type(decode(line)) is dict
    except Refusal:
        return False
