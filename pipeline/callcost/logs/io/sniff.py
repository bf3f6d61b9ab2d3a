"""What kind of container a file is, told by its first bytes.

Lines of JSON are what a file is taken for unless something else is certain, so that a broken first line costs itself
only. Kinds that are never logs of calls are refused as a whole, with what to do instead.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from callcost.logs.io.compression import MAGICS, Damage, decompress, packing_of
from callcost.logs.io.csv_rows import delimiter_of
from callcost.logs.io.object_store import open_input
from callcost.logs.io.records import BOM, Raw, ValueScanner
from callcost.logs.own_output import DETAIL, REASON, are_own_columns
from callcost.logs.values.json import Refusal, decode

INTERACTIONS = rb"[\"']?(?:http_)?interactions[\"']?:[ \t]*(\[[^\n]*)?(?:#[^\n]*)?\s*(?:\n|$)"
SAMPLE = 256 << 10
_SAMPLE_LINES = 50
_JSON_STARTS = (b"{", b"[")
_ARRAY = re.compile(rb'\[\s*(?:[{\["\]]|(?:true|false|null|-?\d[\d.eE+-]*)\s*[,\]]|$)')
PARQUET = rb"PAR1"
_CONTROLS = bytes({*range(1, 0x20), 0x7F} - set(b"\t\n\v\f\r\x1b"))  # what neither text nor colours are made of
_HEAD, _LEAST_HEAD = 4096, 512  # bytes in which they are looked for
_COLUMNS = 2
_SURE_COLUMNS = 5  # of a header before lines that look like JSON, which may be the text of its cells


class Refused(msgspec.Struct, frozen=True):
    """A kind of file that is never a log of calls.

    Attributes:
        container: name of the kind.
        pattern: pattern of the bytes that such a file begins with.
        reason: a slug of REJECT_REASONS.
        detail: advice to the user, for the reject.
        certain: the beginning alone tells; else no line of the sample may look like JSON.
    """

    container: str
    pattern: re.Pattern[bytes]
    reason: str
    detail: str
    certain: bool


def _refused(container: str, pattern: bytes, reason: str, detail: str, *, certain: bool = False) -> Refused:
    return Refused(container, re.compile(pattern, re.DOTALL), reason, detail, certain)


def _no_usage(container: str, pattern: bytes, detail: str, *, certain: bool = False) -> Refused:
    return _refused(container, pattern, "no_usage_possible", detail, certain=certain)


def _binary(container: str, pattern: bytes, detail: str) -> Refused:
    return _refused(container, pattern, "unreadable_file", detail, certain=True)


_TABLE = "export it as Parquet, CSV or lines of JSON"
_NESTED = b"|".join(re.escape(magic) for magics in MAGICS.values() for magic in magics)
REFUSED = (
    _binary("zip", rb"PK(?:\x03\x04|\x05\x06|\x07\x08)", "a zip archive: unpack it first"),
    _binary("tar", rb".{257}ustar[\x00 ]", "a tar archive: unpack it first"),
    _binary("7z", rb"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    _binary("packed_twice", _NESTED, "packed twice: unpack it once"),  # sniffed is what is unpacked already
    _binary("packed_parquet", PARQUET, "Parquet that is packed as a whole: unpack it first"),
    _binary("bzip2", rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)", "bzip2: unpack it first"),
    _binary("xz", rb"\xfd7zXZ\x00|LZIP|\x5d\x00\x00|\x89LZO\x00", "xz, lzma or lzo: unpack it first"),
    _binary("lz4", rb"\x04\x22\x4d\x18|\x02\x21\x4c\x18", "lz4: unpack it first"),
    _binary("snappy", rb"\xff\x06\x00\x00sNaPpY", "snappy: unpack it first"),
    _binary("deflate", rb"\x78[\x01\x5e\x9c\xda][^ -~\s]|\x1f[\x9d\xa0]", "zlib or compress: unpack it first"),
    _binary("sqlite", rb"SQLite format 3\x00", "an SQLite database that is packed: unpack it first"),
    _binary("table", rb"Obj\x01|ORC[^ -~\s]|ARROW1\x00", f"an Avro, ORC or Arrow file: {_TABLE}"),
    _refused("own_table", rb"(?!)", REASON, DETAIL),  # told by its columns
    _refused("utf16", rb"\xff\xfe|\xfe\xff", "invalid_utf8", "UTF-16 text: convert it to UTF-8", certain=True),
    _refused("binary", rb".{0,200}?\x00", "unreadable_file", "binary data: give text logs or Parquet"),
    _no_usage(
        "access_log",
        rb'(?:\S+ ){1,2}\S+ \S+ \[\d\d/\w{3}/\d{4}:[^\]]*\] "'  # Apache, nginx
        rb"|(?:(?:https?|h2|grpcs?|wss?) )?\d{4}-\d\d-\d\dT\S+ [\w./-]+ [\d.:\[\]a-f]+:\d+ "  # load balancers of AWS
        rb"|#(?:Version|Software|Fields): ",  # IIS, CloudFront
        "a web server's access log holds neither tokens nor text: log the response bodies",
    ),
    _no_usage(
        "proxy_log",  # Envoy's
        rb'\[\d{4}-\d\d-\d\dT[^\]]*\] "(?:[A-Z]+|-) ',
        "a proxy's access log holds neither tokens nor text: log the response bodies",
        certain=True,
    ),
    _no_usage(
        "server_log",
        rb"(?:\x1b\[[\d;]*m|\([\w ]+ pid=\d+\) |\s)*(?:INFO|WARNING|DEBUG|ERROR)(?::\s+| \d\d-\d\d \d\d:\d\d:\d\d )",
        "a model server's own log (vLLM) states no tokens of a call: log the responses, or export its traces",
    ),
    _no_usage("script", rb"#!|(?:\$ )?curl ", "a script that sends requests: give the responses", certain=True),
    _refused(
        "prose", rb"(?![\d\"-])(?:[^\S\n]*+\S[^\n]*+\n\s*+){4}\S", "unknown_dialect", "no JSON in its first lines"
    ),
)
REFUSALS = {refused.container: refused for refused in REFUSED}
_CERTAIN = (
    ("parquet", re.compile(PARQUET)),
    *((refused.container, refused.pattern) for refused in REFUSED if refused.certain),
    ("sse", re.compile(rb"(?:event|data|id|retry):|:")),
    ("yaml", re.compile(rb"(?:(?:---|%|#|[A-Za-z_]+: )[^\n]*\n|\s*\n)*" + INTERACTIONS)),
)


def container_of(path: str) -> str:
    """Return what kind of container the file at a path or URL is; see sniff()."""
    sample, packed = b"", False
    with contextlib.suppress(Damage, OSError), open_input(path) as stream:  # reading it reports them
        packed = packing_of(stream) is not None
        for block in decompress(stream):
            sample += block
            if len(sample) >= SAMPLE:
                break
    return sniff(sample, packed=packed)


def sniff(sample: bytes, *, packed: bool = False) -> str:
    """Return the container that a file begins like: jsonl, json, sse, csv, yaml, parquet, or one of REFUSALS.

    Args:
        sample: the first SAMPLE uncompressed bytes, or all if there are fewer.
        packed: whether the file is packed.
    """
    text = sample.removeprefix(BOM).lstrip()
    certain = next((container for container, pattern in _CERTAIN if pattern.match(text)), None)
    if certain:
        return "packed_parquet" if certain == "parquet" and packed else certain
    if _is_binary(text[:_HEAD]):
        return "binary"
    lines = _lines_of(text, cut=len(sample) >= SAMPLE)
    if text.startswith(b"["):
        return _sniff_array(lines)
    if text.startswith(b"{"):
        return "jsonl" if any(_stands_alone(line, text) for line in lines) else _sniff_object(text, lines)
    hopeful = any(line[:1] in _JSON_STARTS for line in lines)
    header = text.split(b"\n", 1)[0]
    if delimiter := delimiter_of(header, _SURE_COLUMNS if hopeful else _COLUMNS):
        names = header.decode("utf-8", "replace").strip().replace('"', "").split(delimiter)
        return "own_table" if are_own_columns(names) else "csv"
    refused = (kind.container for kind in REFUSED if not hopeful and kind.pattern.match(text))
    return next(refused, "jsonl")


def _is_binary(head: bytes) -> bool:
    """Tell packings without magic bytes (brotli, raw snappy) from text; NULs are no sign, since crashes leave them."""
    return len(head) >= _LEAST_HEAD and len(head) - len(head.translate(None, _CONTROLS)) > len(head) // 20


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
    return "json" if len(lines) == 1 or _decoded(lines[0]) is None else "jsonl"


def _sniff_object(text: bytes, lines: Sequence[bytes]) -> str:
    """Tell objects spread over lines, or joined without a break, from a broken line."""
    if lines[0].endswith((b"{", b"[", b",", b":")) and len(lines) > 1:
        return "json"
    first = next((part for part in ValueScanner().feed(text) if isinstance(part, Raw)), None)
    joined = first is not None and text[first.offset + len(first.data) :].lstrip(b" \t").startswith(b"{")
    return "json" if first and joined and _is_object(first.data) else "jsonl"


def _stands_alone(line: bytes, text: bytes) -> bool:
    """Tell whether a line is a whole object, and not one within another, which is indented."""
    return _is_object(line) and (text.startswith(line) or b"\n" + line in text)


def _is_object(line: bytes) -> bool:
    return line.startswith(b"{") and type(_decoded(line)) is dict


def _decoded(line: bytes) -> Any:
    """Return the value of a line; None: it is no JSON."""
    try:
        return decode(line)
    except Refusal:
        return None
