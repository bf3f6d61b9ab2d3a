"""Fetch a published cost map, check it and add it to the user's versions. The only module that speaks HTTP.

Nothing here runs unless a person asks for it (`callcost prices pull`, or `register_model` with a URL): pricing itself
never needs the network.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import queue
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, NamedTuple

import httpx
import msgspec

from callcost.errors import PriceError
from callcost.prices.book.archive import isoformat, write_file
from callcost.prices.book.catalog import Catalog, add_map, build_catalog, load_catalog, user_prices
from callcost.prices.book.cost_map import map_digest, parse_entry, split_map
from callcost.prices.book.faults import first_fault
from callcost.prices.upstream.checks import Findings, check_map
from callcost.prices.upstream.map_files import MAX_BYTES, read_map_file
from callcost.prices.upstream.suspicions import record_suspicions

# Where LiteLLM publishes its map (the address that its own documentation gives).
LITELLM_MAP = "https://raw.githubusercontent.com/BerriAI/litellm/main/model_prices_and_context_window.json"
_PART_BYTES = 1 << 20  # unpacked at a time
_STATE = "pulled.json"
_MOST_REDIRECTS = 5
_RETRIED = frozenset({429, 500, 502, 503, 504})
_OFFLINE = "Pricing works without it; or add a file with `callcost prices add`"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for whom, in seconds.

    Attributes:
        connect: for a connection.
        read: for the next bytes.
        total: for all of it: addresses, headers, redirects, further attempts.
        pause: before the second attempt; twice that before the third.
        attempts: how many.
    """

    connect: float = 10
    read: float = 20
    total: float = 120
    pause: float = 0.5
    attempts: int = 3


class Answer(NamedTuple):
    """What a server sent; content None: not modified."""

    content: bytes | None
    etag: str


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
    patience: Patience = Patience(),
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
        answer.content, name=name, effective_from=now, source=_public(url), folder=folder, dry_run=dry_run, force=force,
        judged=judged,
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
        named, file = _public(file), io.BytesIO(fetch(file).content or b"")
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


def fetch(url: str, *, etag: str = "", patience: Patience = Patience()) -> Answer:
    """Get a file of at most 64 MiB, with proxy settings honoured, TLS verified and failures tried again.

    Raises:
        PriceError: it cannot be had; names the address and the cause.
    """
    shown, problem = _public(url), ""
    deadline = time.monotonic() + patience.total
    for attempt in range(patience.attempts):
        if attempt:
            time.sleep(min(patience.pause * 2 ** (attempt - 1), max(0, deadline - time.monotonic())))
        try:
            return _within(deadline, lambda: _get(url, etag, patience, deadline))
        except _TooLateError:
            message = f"cannot fetch {shown} in {patience.total:g} seconds: the answer takes too long"
            raise PriceError(message, hint=_OFFLINE) from None
        except _TryAgainError as error:
            problem = str(error)
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise PriceError(f"{shown} is no address of a cost map ({error})", hint="Give another --url") from error
        except httpx.TransportError as error:
            problem = str(error) or type(error).__name__
        except httpx.HTTPError as error:
            raise PriceError(f"cannot fetch {shown} ({error})", hint=_OFFLINE) from error
    message = f"cannot fetch {shown} in {patience.attempts} attempts ({problem})"
    raise PriceError(message, hint=_OFFLINE)


class _TryAgainError(Exception):
    """The server may answer better in a moment."""


class _TooLateError(Exception):
    """The time for the whole request is over."""


def _within(deadline: float, ask: Callable[[], Answer]) -> Answer:
    """Return an answer that comes in time.

    A server may send its headers byte by byte, each in time for the next; so it is asked in a thread that is left to
    itself when the time is over. It ends with the process, or when the server does.

    Raises:
        _TooLateError: none comes.
    """
    answers: queue.SimpleQueue[Answer | Exception] = queue.SimpleQueue()

    def answer() -> None:
        try:
            answers.put(ask())
        except Exception as error:  # noqa: BLE001 - it is raised where it was waited for
            answers.put(error)

    threading.Thread(target=answer, daemon=True).start()
    try:
        found = answers.get(timeout=max(0.001, deadline - time.monotonic()))
    except queue.Empty:
        raise _TooLateError from None
    if isinstance(found, Exception):
        raise found
    return found


def _get(url: str, etag: str, patience: Patience, deadline: float) -> Answer:
    headers = {"Accept": "application/json, text/plain", "Accept-Encoding": "identity"}
    if etag:
        headers["If-None-Match"] = etag
    waits = httpx.Timeout(patience.read, connect=patience.connect)
    with (
        httpx.Client(timeout=waits) as client,
        _follow(client, client.build_request("GET", url, headers=headers)) as (response),
    ):
        if response.status_code == httpx.codes.NOT_MODIFIED and etag:
            return Answer(None, etag)
        if response.status_code in _RETRIED:
            raise _TryAgainError(f"it answered {response.status_code} {response.reason_phrase}")
        if response.status_code != httpx.codes.OK:
            message = f"{_public(url)} answered {response.status_code} {response.reason_phrase}"
            raise PriceError(message, hint="Give another --url")
        return Answer(_read_body(response, url, deadline), response.headers.get("ETag", ""))


@contextmanager
def _follow(client: httpx.Client, request: httpx.Request) -> Iterator[httpx.Response]:
    """Send a request and follow where it is sent on to; the bodies of redirects are not read."""
    for _ in range(_MOST_REDIRECTS + 1):
        response = client.send(request, stream=True)
        try:
            if response.next_request is None:
                yield response
                return
            request = response.next_request
        finally:
            response.close()
    raise httpx.TooManyRedirects(f"more than {_MOST_REDIRECTS} redirects", request=request)


def _parts_of(response: httpx.Response, url: str) -> Iterator[bytes]:
    """Yield what is sent, plain, in parts that are no larger than what a server sends at a time."""
    packing = response.headers.get("Content-Encoding", "").strip().lower()
    if packing in ("", "identity"):
        yield from response.iter_raw()
        return
    if packing not in ("gzip", "x-gzip"):
        message = f"{_public(url)} sends its answer packed in a way that was not asked for"
        raise PriceError(message, hint="Give another --url")
    unpacker = zlib.decompressobj(wbits=31)
    for part in response.iter_raw():
        while part:
            try:
                yield unpacker.decompress(part, _PART_BYTES)
            except zlib.error:
                raise httpx.DecodingError("its answer is damaged", request=response.request) from None
            part = unpacker.unconsumed_tail  # noqa: PLW2901 - the rest of it


def _read_body(response: httpx.Response, url: str, deadline: float) -> bytes:
    """Read what is sent, unpacked, up to the limit and the deadline."""
    parts, size = [], 0
    stated = response.headers.get("Content-Length", "")
    if stated.isdigit() and int(stated) > MAX_BYTES:
        size = int(stated)
    for part in _parts_of(response, url) if not size else ():
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES:
            break
        if time.monotonic() > deadline:
            raise _TooLateError
    if size > MAX_BYTES:
        message = f"{_public(url)} sends more than {MAX_BYTES >> 20} MiB: no cost map"
        raise PriceError(message, hint="Give another --url")
    return b"".join(parts)


def _public(url: str) -> str:
    """Return an address without what may be secret in it: user, password and query."""
    try:
        return str(httpx.URL(url).copy_with(userinfo=b"", query=None, fragment=None))
    except httpx.InvalidURL:
        return "the address"


def _free_name(catalog: Catalog, stem: str) -> str:
    taken = {version.name for version in catalog.versions}
    names = (stem, *(f"{stem}.{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def _read_state() -> dict[str, _Answered]:
    try:
        return msgspec.json.decode((user_prices() / _STATE).read_bytes(), type=dict[str, _Answered])
    except (OSError, msgspec.MsgspecError):
        return {}  # it only saves a download
