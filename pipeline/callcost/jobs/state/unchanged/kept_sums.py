"""Sums by group of logs and what days were made of, as a state keeps them for its next run.

They are a cache: the ledger has the digest of what describes them, and that has those of the tables. Where something is
not as it was written, or was made with other options, prices or code, there is nothing, and all is made anew.
"""

from __future__ import annotations

import io
import json
from datetime import datetime
from typing import Any

import msgspec
import polars as pl

from callcost.jobs.engine.fingerprint import code_of, prices_of
from callcost.jobs.engine.manifest import result_options
from callcost.jobs.state.unchanged.log_groups import hashes_here
from callcost.runners.entries import digest_of_bytes, digest_of_value
from callcost.runners.ledger import Ledger
from callcost.settings import ReportOptions
from callcost.tables import ReduceResult

TABLES = ("spend", "days", "unpriced")  # of sums, as reduce tasks name them
GROUP = "group of logs"  # the column that says whose sums a row is of
MOST_ROWS = 3_000_000  # of sums; more of them take as long to keep as to make
_LINKS = "links.parquet"
_KEY = "sums"  # of what the ledger has published
_FOLDER = ".sums"  # of the files; hidden, so that no run takes them for logs, also where the ledger is lost


class Link(msgspec.Struct, kw_only=True):
    """What ties records of some logs to others.

    Attributes:
        sha256: digest of the file of their links.
        pieces: numbers of the pieces that the records are of.
        is_forked: whether there are sessions that begin with copies: records of other sessions decide on these.
        is_hidden: whether there is hidden reasoning: what other calls state stands for it.
    """

    sha256: str
    pieces: list[int]
    is_forked: bool
    is_hidden: bool


class KeptGroup(msgspec.Struct, kw_only=True):
    """What some logs that are settled together came to.

    Attributes:
        link: what ties their records to others.
        settled: digest of the verdicts on their records, and of what stands for hidden reasoning.
        result: what reduce tasks say of them, without files.
        days: day as partitions spell it -> whether hidden reasoning was filled in on it.
    """

    link: Link
    settled: str
    result: ReduceResult
    days: dict[str, bool]


class KeptDay(msgspec.Struct, kw_only=True):
    """A day as it was published.

    Attributes:
        made_of: digest of the groups that have calls on it.
        newest: time of its newest call; None: it has none.
    """

    made_of: str
    newest: datetime | None


class _Described(msgspec.Struct, kw_only=True):
    groups: dict[str, KeptGroup]
    days: dict[str, KeptDay]
    tables: dict[str, str]  # kind -> sha256


class KeptSums(msgspec.Struct, kw_only=True):
    """What a run keeps for the next.

    Attributes:
        recipe: digest of all that it depends on beside facts and the verdicts on them.
        groups: name of a group -> what it came to.
        days: day as partitions spell it -> how it was published.
        tables: kind of sums, or "verdicts" -> those of all groups, with a column GROUP; there may be none of a kind.
    """

    recipe: str
    groups: dict[str, KeptGroup] = {}
    days: dict[str, KeptDay] = {}
    tables: dict[str, pl.DataFrame] = {}


def recipe_of(options: ReportOptions) -> str:
    """Return the digest of all that sums and days depend on beside facts and the verdicts on them."""
    code = [code_of(), pl.__version__, hashes_here()]
    return digest_of_value([result_options(options), prices_of(options), *code])


def read_sums(ledger: Ledger, recipe: str) -> KeptSums:
    """Return what the last run kept; nothing where it is not as it was written, or was made by another recipe."""
    known = ledger.published.get(_KEY, {})
    data = _checked(ledger, known.get("sha256", ""), "json") if known.get("recipe") == recipe else None
    if data is None:
        return KeptSums(recipe=recipe)
    described = msgspec.convert(json.loads(data), _Described)
    tables = {kind: _checked(ledger, sha256, f"{kind}.parquet") for kind, sha256 in described.tables.items()}
    whole = {kind: pl.read_parquet(io.BytesIO(table)) for kind, table in tables.items() if table is not None}
    if whole.keys() != tables.keys():
        return KeptSums(recipe=recipe)
    return KeptSums(recipe=recipe, groups=described.groups, days=described.days, tables=whole)


def _name(sha256: str, kind: str) -> str:
    return f"{_FOLDER}/{sha256[:16]}.{kind}"


def _checked(ledger: Ledger, sha256: str, kind: str) -> bytes | None:
    data = ledger.folder.read(_name(sha256, kind)) if sha256 else None
    return data if data is not None and digest_of_bytes(data) == sha256 else None


def keep_link(ledger: Ledger, data: bytes) -> str:
    """Write down links of some logs and return their digest; a run that is not over leaves nothing that counts."""
    sha256 = digest_of_bytes(data)
    ledger.assure()
    ledger.folder.write(_name(sha256, _LINKS), data)
    return sha256


def read_links(ledger: Ledger, kept: KeptSums) -> dict[str, bytes | None]:
    """Return name of a group -> its links; None where they are not as they were written."""
    digests = {name: group.link.sha256 for name, group in kept.groups.items()}
    found = ledger.folder.read_all([_name(sha256, _LINKS) for sha256 in digests.values()])
    return {
        name: data if data is not None and digest_of_bytes(data) == sha256 else None
        for (name, sha256), data in zip(digests.items(), found, strict=True)
    }


def keep_sums(ledger: Ledger, kept: KeptSums) -> dict[str, Any]:
    """Write down what the next run can use; what the last one wrote stays until the ledger says this: see drop_sums.

    Returns:
        What the ledger says of it.
    """
    if sum(table.height for table in kept.tables.values()) > MOST_ROWS:
        kept = KeptSums(recipe=kept.recipe)
    files = {f"{kind}.parquet": _packed(table) for kind, table in sorted(kept.tables.items())}
    digests = {name.removesuffix(".parquet"): digest_of_bytes(data) for name, data in files.items()}
    described = _Described(groups=kept.groups, days=kept.days, tables=digests)
    files["json"] = json.dumps(msgspec.to_builtins(described)).encode()  # msgspec's own has no integers above 64 bits
    names = {_name(digest_of_bytes(data), kind): data for kind, data in files.items()}
    for name, data in names.items():
        ledger.folder.write(name, data)
    links = {_name(group.link.sha256, _LINKS) for group in kept.groups.values()}
    sha256 = digest_of_bytes(files["json"])
    return {_KEY: {"recipe": kept.recipe, "sha256": sha256, "files": sorted(names.keys() | links)}}


def drop_sums(ledger: Ledger) -> None:
    """Remove what the ledger does not name any more."""
    named = set(ledger.published.get(_KEY, {}).get("files", ()))
    ledger.folder.remove([name for name in ledger.folder.names(_FOLDER) if name not in named])


def _packed(table: pl.DataFrame) -> bytes:
    sink = io.BytesIO()
    table.write_parquet(sink, compression="lz4", statistics=False)
    return sink.getvalue()
