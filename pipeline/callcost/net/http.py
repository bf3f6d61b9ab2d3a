"""Get a file over HTTP: patient with servers that fail or are busy, bounded in bytes and time, silent about secrets.

What is asked for, and what an answer means, is for the other modules of this room. No error names a user, a password,
a query or a header.
"""

from __future__ import annotations

import dataclasses
import queue
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from functools import cache
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import httpx

from callcost.errors import CallcostError, PriceError
from callcost.prices.upstream.map_files import MAX_BYTES

_PART_BYTES = 1 << 20  # unpacked at a time
_MOST_REDIRECTS = 5
_T = TypeVar("_T")
RETRIED = frozenset({429, 500, 502, 503, 504, 529})  # 529: Anthropic's "overloaded"
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long to wait for whom, in seconds.

    Attributes:
        connect: for a connection.
        read: for the next bytes.
        total: for all of it: addresses, headers, redirects, further attempts.
        pause: before the second attempt; twice that before the third; a server's Retry-After where that is longer.
        attempts: how many.
    """

    connect: float = 10
    read: float = 20
    total: float = 120
    pause: float = 0.5
    attempts: int = 3


PATIENT = Patience()


class Answer(NamedTuple):
    """What a server sent; content None: not modified."""

    content: bytes | None
    etag: str


class Purpose(NamedTuple):
    """What is fetched, for the words of an error.

    Attributes:
        error: its kind.
        what: the thing, with its article.
        offline: next step where the server cannot be reached.
        refused: next step where the server does not give it.
    """

    error: type[CallcostError]
    what: str
    offline: str
    refused: str


COST_MAP = Purpose(
    PriceError, "a cost map", "Pricing works without it; or add a file with `callcost prices add`", "Give another --url"
)


class _Request(NamedTuple):
    """What is asked for: its address, headers that must reach nobody else, the tag that is known, and why."""

    url: str
    secret: Mapping[str, str]
    etag: str
    purpose: Purpose

    def refusal(self, words: str) -> CallcostError:
        """Return the error of a server that does not give it."""
        return self.purpose.error(f"{public_url(self.url)} {words}", hint=self.purpose.refused)


def fetch(
    url: str, *, etag: str = "", secret: Mapping[str, str] = _NO_HEADERS, purpose: Purpose = COST_MAP,
    patience: Patience = PATIENT,
) -> Answer:  # fmt: skip
    """Get a file of at most 64 MiB, with proxy settings honoured, TLS verified and failures tried again.

    Args:
        url: of the file.
        etag: tag of the content that is known; "": none is.
        secret: headers that are for this server alone: no redirect takes them to another.
        purpose: what it is fetched for.
        patience: how long to wait.

    Raises:
        CallcostError: of the purpose's kind: it cannot be had; names the address and the cause.
    """
    shown, problem, wait = public_url(url), "", 0.0
    asked = _Request(url, secret, etag, purpose)
    deadline = time.monotonic() + patience.total
    for attempt in range(patience.attempts):
        if attempt:
            left = max(0, deadline - time.monotonic())
            if wait > left:
                message = f"cannot fetch {shown} now: {problem}, and asks to be left alone for {wait:,.0f} seconds"
                raise purpose.error(message, hint=purpose.offline)
            time.sleep(min(max(patience.pause * 2 ** (attempt - 1), wait), left))
        try:
            return within(deadline, lambda: _get(asked, patience, deadline))
        except TooLateError:
            words = f": {problem}" if problem else ": the answer takes too long"
            message = f"cannot fetch {shown} in {patience.total:g} seconds{words}"
            raise purpose.error(message, hint=purpose.offline) from None
        except _TryAgainError as error:
            problem, wait = str(error), error.wait
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            message = f"{shown} is no address of {purpose.what} ({error})"
            raise purpose.error(message, hint="Give another --url") from error
        except httpx.TransportError as error:
            problem, wait = str(error) or type(error).__name__, 0.0
        except httpx.HTTPError as error:
            raise purpose.error(f"cannot fetch {shown} ({error})", hint=purpose.offline) from error
    message = f"cannot fetch {shown} in {patience.attempts} attempts ({problem})"
    raise purpose.error(message, hint=purpose.offline)


class _TryAgainError(Exception):
    """The server may answer better in a moment.

    Attributes:
        wait: seconds that it asks to be left alone; 0: it does not say.
    """

    def __init__(self, problem: str, wait: float) -> None:
        super().__init__(problem)
        self.wait = wait


class TooLateError(Exception):
    """The time for all of a request is over."""


def within(deadline: float, ask: Callable[[], _T]) -> _T:
    """Return an answer that comes in time.

    A server may send its headers byte by byte, each in time for the next; so it is asked in a thread that is left to
    itself when the time is over. It ends with the process, or when the server does.

    Args:
        deadline: as ``time.monotonic`` counts.
        ask: what waits for the server; what it raises is raised here.

    Raises:
        TooLateError: none comes.
    """
    answers: queue.SimpleQueue[_T | Exception] = queue.SimpleQueue()

    def answer() -> None:
        try:
            answers.put(ask())
        except Exception as error:  # noqa: BLE001 - it is raised where it was waited for
            answers.put(error)

    threading.Thread(target=answer, daemon=True).start()
    try:
        found = answers.get(timeout=max(0.001, deadline - time.monotonic()))
    except queue.Empty:
        raise TooLateError from None
    if isinstance(found, Exception):
        raise found
    return found


def _get(asked: _Request, patience: Patience, deadline: float) -> Answer:
    headers = {"Accept": "application/json, text/plain", "Accept-Encoding": "identity", **asked.secret}
    if asked.etag:
        headers["If-None-Match"] = asked.etag
    waits = httpx.Timeout(patience.read, connect=patience.connect)
    with httpx.Client(timeout=waits, verify=_tls()) as client, _follow(client, asked, headers) as response:
        status = response.status_code
        if status == httpx.codes.NOT_MODIFIED and asked.etag:
            return Answer(None, asked.etag)
        words = f"answered {status} {response.reason_phrase}".rstrip()
        if status in RETRIED:
            raise _TryAgainError(f"it {words}", _retry_after(response))
        if status != httpx.codes.OK:
            raise asked.refusal(words)
        return Answer(_read_body(response, asked, deadline), response.headers.get("ETag", ""))


@cache
def _tls() -> ssl.SSLContext:
    """Return what connections are verified with; reading the certificates takes as long as a request."""
    return httpx.create_ssl_context()


def _retry_after(response: httpx.Response) -> float:
    """Return how long a server asks to be left alone, in seconds: Retry-After as a number or a date (RFC 9110)."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


@contextmanager
def _follow(client: httpx.Client, asked: _Request, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
    """Send a request and follow where it is sent on to; the bodies of redirects are not read."""
    request = client.build_request("GET", asked.url, headers=headers)
    origin = _origin_of(request.url)
    for _ in range(_MOST_REDIRECTS + 1):
        response = client.send(request, stream=True)
        try:
            if response.next_request is None:
                yield response
                return
            request = response.next_request
        finally:
            response.close()
        if asked.secret and _origin_of(request.url) != origin:
            raise asked.refusal("sends on to another server, which gets no key")
    raise httpx.TooManyRedirects(f"more than {_MOST_REDIRECTS} redirects", request=request)


def _origin_of(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _parts_of(response: httpx.Response, asked: _Request) -> Iterator[bytes]:
    """Yield what is sent, plain, in parts that are no larger than what a server sends at a time."""
    packing = response.headers.get("Content-Encoding", "").strip().lower()
    if packing in ("", "identity"):
        yield from response.iter_raw()
        return
    if packing not in ("gzip", "x-gzip"):
        raise asked.refusal("sends its answer packed in a way that was not asked for")
    unpacker = zlib.decompressobj(wbits=31)
    for part in response.iter_raw():
        while part:
            try:
                yield unpacker.decompress(part, _PART_BYTES)
            except zlib.error:
                raise httpx.DecodingError("its answer is damaged", request=response.request) from None
            part = unpacker.unconsumed_tail  # noqa: PLW2901 - the rest of it


def _read_body(response: httpx.Response, asked: _Request, deadline: float) -> bytes:
    """Read what is sent, unpacked, up to the limit and the deadline."""
    parts, size = [], 0
    stated = response.headers.get("Content-Length", "")
    if stated.isdigit() and int(stated) > MAX_BYTES:
        size = int(stated)
    for part in _parts_of(response, asked) if not size else ():
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES:
            break
        if time.monotonic() > deadline:
            raise TooLateError
    if size > MAX_BYTES:
        raise asked.refusal(f"sends more than {MAX_BYTES >> 20} MiB: that is not {asked.purpose.what}")
    return b"".join(parts)


def public_url(url: str) -> str:
    """Return an address without what may be secret in it: user, password and query."""
    try:
        return str(httpx.URL(url).copy_with(userinfo=b"", query=None, fragment=None))
    except httpx.InvalidURL:
        return "the address"
