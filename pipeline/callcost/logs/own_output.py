"""What callcost itself writes: how its folders and tables are told from logs, by what they say and not by their names.

A manifest, a ledger, the record of a kept run, of a backfill or of a Delta table says which files beside it are
results; below a LOGS argument these are left out. A table of ours that no such document marks is refused when it is
read, by its columns. Only documents and names are looked at, and only of folders that hold a candidate.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from callcost.logs.io.object_store import written_name
from callcost.logs.values.signatures import Recogniser, sign
from callcost.settings import CORRECTION_FORMATS, EXTENSIONS, FOCUS_FORMATS

BACKFILLED = ".callcost-backfill.json"  # hidden, so that the folder can be reported on as it is
UNFINISHED = ".callcost-unfinished.json"  # there until the manifest is, which is written last
HIDDEN_DOCUMENTS = frozenset([BACKFILLED, UNFINISHED])
_DELTA_LOG = "_delta_log/00000000000000000000.json"
_MARKERS = re.compile(r"(?:.*/)?(?:manifest|ledger(?:\.copy)?|entry|run|_delta_log/0{20}|\.callcost-backfill)\.json")
_NAMED = re.compile(
    r"(?:.*/)?(?:(?:spend|adjustments|reconciliation|causes|rejects|calls)\.(?:parquet|csv|json)|"
    r"(?:report|reconcile)\.html)"
)
PAGE_MARK = b"<meta name=generator content=callcost>"  # of our pages
_MOST_BYTES = 64 << 20  # of a document
_HEAD = 64 << 10
_FEW = 16  # documents of other names that are looked at, in a folder with tables of our names

TABLES = {  # what we write, and columns of it that nobody else has together
    "spend": "calls failed_calls counted_calls unpriced_calls partly_priced_calls total_cost",
    "calls": "call_id source_file source_row source_format usage_source price_status price_basis",
    "verdicts": "piece record first_at conflict occurrence",
    "rejects": "source_file source_row byte_offset reason detail",
    "reconciliation": "against token_class computed_cost billed_tokens unexplained",
    "causes": "against token_class cause tokens amount evidence",
    "adjustments": "day reason calls old_cost new_cost difference",
}
_DOCUMENTS = (
    "schema_version callcost options inputs run",
    "schema_version published",
    "number stamp name sha256 made facts",
    "identity options inputs",
    "day file sha256 closed_at",
)
FACTS_METADATA = "callcost.words"  # in the metadata of a file of facts, which has few columns for certain
_SIGNED = (*map(sign, TABLES.values()), sign("key record", some="record_digest request_digest key_kind piece"))
SIGNATURES = (*_SIGNED, *map(sign, _DOCUMENTS))
OWN_TABLES = Recogniser([("table", _SIGNED)])
REASON = "own_output"
DETAIL = "callcost wrote it: give the logs that it was made of; report, reconcile and explain answer from those"

Read = Callable[[str, int, int], bytes]  # path below the root, first byte (negative: from the end), how many
Document = Mapping[str, msgspec.Raw]
IsOurs = Callable[[str], object]  # of a path; what it returns is true or not


class OwnFolder(NamedTuple):
    """A folder in which callcost wrote something.

    Attributes:
        folder: path below the root; "": the root itself.
        what: kind of the folder, for people.
        hint: advice which command answers from it.
    """

    folder: str
    what: str
    hint: str


class Skipped(msgspec.Struct, frozen=True):
    """What a run left out of its logs.

    Attributes:
        path: path as reports write it.
        what: kind of the folder, for people.
    """

    path: str
    what: str


class _Kind(NamedTuple):
    """A kind of folder, recognised by a document in it.

    Attributes:
        what: name of the kind, for people.
        keys: keys of the document, separated by spaces.
        proof: one of the keys, and what stands below it in a document of ours alone.
        files: pattern of the paths beside the document that are ours; or what gives their test for a document.
        hint: which command answers from such a folder.
        above: number of folders that the one which people know lies above the document's.
    """

    what: str
    keys: str
    proof: tuple[str, bytes]
    files: str | Callable[[Document], IsOurs]
    hint: str
    above: int = 0

    def is_of(self, document: Document) -> bool:
        """Tell whether a document is of this kind."""
        name, words = self.proof
        return document.keys() >= {*self.keys.split()} and words in bytes(document[name])

    def is_ours(self, document: Document) -> IsOurs:
        """Return what tells whether a path beside a document of this kind is ours."""
        return self.files(document) if callable(self.files) else re.compile(self.files).fullmatch


class _Input(msgspec.Struct):
    path: str


class _Options(msgspec.Struct):
    formats: tuple[str, ...] = ()
    calls: bool = False
    table: str = ""


def _files_of_report(document: Document) -> IsOurs:
    """Return what tells by the options of a report whether it wrote a file."""
    options = msgspec.json.decode(document["options"], type=_Options)
    formats = "|".join(re.escape(EXTENSIONS.get(name, name)) for name in options.formats)
    names = [rf"(?:spend|adjustments)\.(?:{formats})", r"rejects\.parquet"]
    names += [r"calls\.parquet"] * options.calls + [r"report\.html"] * ("html" in options.formats)
    names += [rf"{re.escape(name)}\.\w+" for name in options.formats if name in {*FOCUS_FORMATS, *CORRECTION_FORMATS}]
    if options.table == "delta":
        names.append(r"calls\.delta/.+")
    elif "closed_days" in document:  # it remembers, and publishes by day
        names.append(r"day=[^/]+/calls\.parquet")
    return re.compile("|".join(names)).fullmatch


def _copies_of(document: Document) -> IsOurs:
    inputs = msgspec.json.decode(document["inputs"], type=list[_Input])
    names = {"stdin" if one.path == "-" else one.path for one in inputs}
    return lambda path: written_name(path) in names


TOOL_RESULTS = "outputs of Claude Code's tools"  # no folder of ours; left out likewise
_COPY, _ALL = "a backfilled copy", ".*"
_OF_REPORT = "callcost report answers from it, if it holds calls; give other commands the logs that it was made of"
_OF_STATE = "It is for callcost report LOGS --state DIR and callcost close DAY --state DIR"
_STATE = r"ledger(?:\.copy)?\.json|spend\.parquet|(?:inputs|closed)/.+"
_KINDS = (
    _Kind("a report", "schema_version callcost options inputs records price_versions run", ("callcost", b'"version"'),
          _files_of_report, _OF_REPORT),
    _Kind("a reconciliation", "schema_version callcost options inputs not_compared run", ("callcost", b'"version"'),
          r"reconciliation\.(?:parquet|csv)|causes\.csv|reconcile\.(?:html|xlsx)",
          "Give the logs that it was made of to callcost reconcile"),
    _Kind("a state", "schema_version sha256 published", ("published", b""), _STATE, _OF_STATE),
    _Kind("a state", "schema_version digest published", ("published", b""), _STATE, _OF_STATE),
    _Kind("a state", "number stamp name sha256 made facts", ("stamp", b'"mtime_ns"'), _ALL, _OF_STATE, above=2),
    _Kind("a work dir", "identity options inputs", ("identity", b'"callcost"'), _ALL,
          "It is for callcost report LOGS --work-dir DIR; callcost gc DIR clears it", above=1),
    _Kind(_COPY, "inputs totals", ("totals", b'"added_cost"'), _copies_of, "Name it itself to read it as logs"),
)  # fmt: skip
_TABLE = _Kind("a table of calls", "", ("", b""), _ALL, _OF_REPORT)


def find_own(files: Sequence[str], hidden: Sequence[str], read: Read) -> tuple[list[OwnFolder], set[str]]:
    """Tell which files below a folder callcost wrote.

    Args:
        files: paths below the folder, sorted.
        hidden: paths of HIDDEN_DOCUMENTS below it, which are not among the files.
        read: reads them.

    Returns:
        The folders with such files, in order, and the files; a folder of backfilled copies is logs, if it is the root.
    """
    found: dict[tuple[str, str], OwnFolder] = {}
    ours: set[str] = set()
    for path in sorted((*_candidates(files), *hidden), key=lambda path: (path.count("/"), path)):
        if path in ours:
            continue
        recognised = _recognise(path, read)
        if recognised is None:
            continue
        kind, document = recognised
        folder = path.removesuffix(_DELTA_LOG).rstrip("/") if kind is _TABLE else path.rpartition("/")[0]
        if kind.what == _COPY and not folder:
            continue
        owned = _owned(files, path, folder, kind.is_ours(document), read) - ours
        if owned:
            ours |= owned
            place = "/".join(folder.split("/")[: -kind.above or None])
            found.setdefault((place, kind.what), OwnFolder(place, kind.what, kind.hint))
    return sorted(found.values()), ours


def _candidates(files: Sequence[str]) -> list[str]:
    """Return documents that may say whose the files beside them are."""
    found = [path for path in files if path.endswith(".json") and _MARKERS.fullmatch(path)]
    named = sorted({path.rpartition("/")[0] for path in files if _NAMED.fullmatch(path)})
    for folder in named:
        beside = [
            path for path in _below(files, folder)
            if path.endswith(".json") and path.rpartition("/")[0] == folder and not _MARKERS.fullmatch(path)
        ]  # fmt: skip
        found += beside[:_FEW]
    return found


def _below(files: Sequence[str], folder: str) -> Sequence[str]:
    """Return the files at any depth below a folder; "": all of them."""
    if not folder:
        return files
    return files[bisect_left(files, f"{folder}/") : bisect_left(files, f"{folder}0")]  # "0" comes after "/"


def _recognise(path: str, read: Read) -> tuple[_Kind, Document] | None:
    """Return what kind of folder a document is of; None where it is none of ours."""
    data = read(path, 0, _MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        return None
    if path.endswith(_DELTA_LOG):
        text = data.replace(b'\\"', b'"')
        names = (f'"name":"{column}"'.encode() in text for column in TABLES["calls"].split())
        return (_TABLE, {}) if b'"metaData"' in text and all(names) else None
    try:
        document = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        kind = next((kind for kind in _KINDS if kind.is_of(document)), None)
        if kind is not None:
            kind.is_ours(document)  # what it marks can be read
    except msgspec.MsgspecError:
        return None
    return kind and (kind, document)


def _owned(files: Sequence[str], mark: str, folder: str, is_ours: IsOurs, read: Read) -> set[str]:
    """Return the files that a document marks, itself among them, and tables beside it of a run with other options."""
    start = len(folder) + 1 if folder else 0
    below = _below(files, folder)
    found = {path for path in below if is_ours(path[start:])}
    beside = (path for path in below if path not in found and path.rpartition("/")[0] == folder)
    found |= {path for path in beside if _NAMED.fullmatch(path) and _is_own_table(path, read)}
    return found | ({mark} & set(below))


def _is_own_table(path: str, read: Read) -> bool:
    """Tell by its columns whether a file of an earlier run with other options is ours."""
    if path.endswith(".parquet"):
        end = read(path, -8, 8)
        size = int.from_bytes(end[:4], "little") if end.endswith(b"PAR1") else 0
        footer = read(path, -8 - size, size) if 0 < size <= _MOST_BYTES else b""
        return any(all(name.encode() in footer for name in columns.split()) for columns in TABLES.values())
    head = read(path, 0, _HEAD)
    if path.endswith(".html"):
        return PAGE_MARK in head
    line = head.split(b"\n", 1)[0]
    try:
        names = list(msgspec.json.decode(line, type=dict[str, msgspec.Raw])) if line.startswith(b"{") else None
    except msgspec.MsgspecError:
        return False
    return are_own_columns(names if names is not None else line.decode("utf-8", "replace").strip().split(","))


def are_own_columns(names: Sequence[str]) -> bool:
    """Tell whether the columns of a table are those of one that callcost writes."""
    return OWN_TABLES.find(dict.fromkeys(names)) is not None
