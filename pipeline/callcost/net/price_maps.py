"""Fetch a published cost map, check it and add it to the user's versions.

Nothing here runs unless a person asks for it (`callcost prices pull`, or `register_model` with a URL): pricing itself
never needs the network.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from callcost.errors import PriceError
from callcost.net.http import PATIENT, Patience, fetch, public_url
from callcost.prices.book.archive import isoformat, write_file
from callcost.prices.book.catalog import Catalog, add_map, build_catalog, load_catalog, user_prices
from callcost.prices.book.cost_map import map_digest, parse_entry, split_map
from callcost.prices.book.faults import first_fault
from callcost.prices.upstream.checks import Findings, check_map
from callcost.prices.upstream.map_files import read_map_file
from callcost.prices.upstream.suspicions import record_suspicions

# Where LiteLLM publishes its map (the address that its own documentation gives).
LITELLM_MAP = "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json"
_STATE = "pulled.json"


class Addition(NamedTuple):
    """What became of a map that was pulled or given: `version` is None where nothing was added."""

    version: str | None
    findings: Findings | None  # None: not modified


Judged = Callable[[Findings], None]


class _Answered(msgspec.Struct):
    """What is remembered of an address: the tag of its last answer, and the version that it became."""

    etag: str
    version: str


def pull_map(
    url: str = LITELLM_MAP,
    *,
    folder: Path | None = None,
    dry_run: bool = False,
    force: bool = False,
    patience: Patience = PATIENT,
    judged: Judged = lambda _findings: None,
) -> Addition:
    """Fetch a map and add it as a version that is in force from now on.

    Args:
        url: of a map in LiteLLM's format.
        folder: of the versions that it is added to; None: the user's own.
        dry_run: fetch and check only.
        force: add it whatever the checks say.
        patience: how long to wait.
        judged: called with what the checks found, before the map is refused or added.

    Raises:
        PriceError: the server cannot be reached or does not send a map, or the checks refuse it.
    """
    catalog, state = _versions_in(folder), _read_state() if folder is None else {}
    key = hashlib.sha256(url.encode()).hexdigest()  # an address may hold a secret
    known = state.get(key)
    if known and known.version not in {version.name for version in catalog.versions}:
        known = None  # its version was removed: ask for the whole map again
    answer = fetch(url, etag=known.etag if known else "", patience=patience)
    if answer.content is None:
        return Addition(None, None)
    now = int(time.time()) * 1_000_000
    name = _free_name(catalog, time.strftime("litellm-%Y-%m-%d", time.gmtime()))
    added = add_checked(
        answer.content, name=name, effective_from=now, source=public_url(url), folder=folder, dry_run=dry_run,
        force=force, judged=judged,
    )  # fmt: skip
    if answer.etag and not dry_run and folder is None:
        state[key] = _Answered(answer.etag, added.version or (catalog.version_at(now) or catalog.newest).name)
        write_file(user_prices() / _STATE, msgspec.json.encode(state))
    return added


def add_file(
    file: IO[bytes] | str,
    *,
    effective_from: int,
    name: str | None = None,
    source: str | None = None,
    folder: Path | None = None,
    force: bool = False,
    judged: Judged = lambda _findings: None,
) -> Addition:
    """Add a map that a file holds; the arguments are those of ``add_checked``.

    Args:
        file: JSON or a wheel of LiteLLM, or the URL of either.
        effective_from: see there.
        name: None: that of the wheel's release, or "user-" and the date.
        source: None: the wheel's release, or the file's name.
        folder: see there.
        force: see there.
        judged: see there.

    Raises:
        PriceError: it cannot be had, it holds no map, or the checks refuse it.
    """
    if isinstance(file, str):
        named, file = public_url(file), io.BytesIO(fetch(file).content or b"")
    else:
        named = Path(getattr(file, "name", "the file")).name
    text, release = read_map_file(file, named)
    name = name or ("-".join(release) if release else f"user-{isoformat(effective_from)[:10]}")
    source = source or (" ".join(release) if release else named)
    return add_checked(
        text, name=name, effective_from=effective_from, source=source, folder=folder, force=force, judged=judged
    )


def add_checked(
    text: bytes,
    *,
    name: str,
    effective_from: int,
    source: str,
    folder: Path | None = None,
    dry_run: bool = False,
    force: bool = False,
    judged: Judged = lambda _findings: None,
) -> Addition:
    """Add a map, known from now on, unless it says what the version before it says.

    Args:
        text: the map, as JSON.
        name: of the version.
        effective_from: microseconds since 1970, UTC.
        source: where it comes from.
        folder: of the versions that it is added to; None: the user's own.
        dry_run: check only.
        force: add it whatever the checks say; what is suspicious stays on record.
        judged: called with what the checks found, before the map is refused or added.

    Raises:
        PriceError: it is no map, or the checks refuse it.
    """
    try:
        entries = split_map(text)
    except PriceError as error:
        raise _name_field(error, text) from error
    catalog = _versions_in(folder)
    before = catalog.version_at(effective_from)
    old = catalog.map_of(before) if before else {}
    findings = check_map({model: parse_entry(raw) for model, raw in entries.items()}, old, effective_from)
    judged(findings)
    if dry_run:
        return Addition(None, findings)
    if findings.refusals and not force:
        message = f"the map of {source} looks wrong: {'; '.join(findings.refusals)}"
        raise PriceError(message, hint="See --dry-run; --force adds it all the same")
    if before and map_digest(entries.items()) == before.sha256:
        return Addition(None, findings)
    if name in {version.name for version in catalog.versions}:
        raise PriceError(f"there is a price version {name} already", hint="Give it another name")
    folder, now = folder or user_prices(), int(time.time()) * 1_000_000
    add_map(entries, name=name, effective_from=effective_from, source=source, folder=folder, known_from=now)
    record_suspicions(findings.suspicions, findings.map, version=name, begins=effective_from, now=now, folder=folder)
    return Addition(name, findings)


def _versions_in(folder: Path | None) -> Catalog:
    """Return what a new map is compared with: all versions, or those of the folder that it comes into."""
    return load_catalog() if folder is None else build_catalog([("user", folder)])


def _name_field(error: PriceError, text: bytes) -> PriceError:
    """Return the error of a map that cannot be read, with the field where a number is the reason, such as NaN."""
    try:
        content = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError, ArithmeticError):
        return error
    models = content.items() if isinstance(content, dict) else ()
    faults = ((model, first_fault(fields, force=True)) for model, fields in models if isinstance(fields, dict))
    named = next((f"{model} ({fault})" for model, fault in faults if fault), "")
    return PriceError(f"{error.message}: {named}", hint=error.hint) if named else error


def _free_name(catalog: Catalog, stem: str) -> str:
    taken = {version.name for version in catalog.versions}
    names = (stem, *(f"{stem}.{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def _read_state() -> dict[str, _Answered]:
    try:
        return msgspec.json.decode((user_prices() / _STATE).read_bytes(), type=dict[str, _Answered])
    except (OSError, msgspec.MsgspecError):
        return {}  # it only saves a download
