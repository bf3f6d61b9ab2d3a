"""Where counting runs: in this thread, in a few threads, or, for an oversize item, in a process with a deadline.

Time is bounded by size: the worst of megabyte texts takes well under a second in every engine, so items up to the limit
run without a clock. A larger one goes to the oversize worker: a helper process, started afresh (spawned, never
forked: Polars hangs in a fork), that counts one item at a time. Over its deadline, or over its memory, the helper is
killed and the item has no count. The helper ends with its parent however that ends: it watches its standard input.
What a missing count means for a call is left to the caller.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from callcost.errors import TokenizerError
from callcost.tokens.engines.encoders import Encoder, load_encoder, repair

ITEM_LIMIT_BYTES = 1_000_000  # of UTF-8; items up to it are exact by construction
HELPER_MEMORY_BYTES = 1_536 * 2**20
CHUNK_CHARS = 200_000  # of texts handed to one thread at a time
GRACE_SECONDS = 5.0  # after its deadline a helper that was not killed ends itself

_REQUEST = struct.Struct("<dHQ")  # seconds (0: no limit), bytes of the vocabulary's name, bytes of the text
_REPLY = struct.Struct("<cQ")  # kind, count
_STARTED, _READY, _COUNTED, _REFUSED = b"S", b"R", b"C", b"F"
_LOST, _ENDED = b"l", b"e"  # what no helper says: it ended before it had the item, or while it counted
_START = "import sys; sys.path[:] = sys.argv[1:]; from callcost.tokens.engines.oversize_worker import serve; serve()"


def is_oversize(text: str, limit: int = ITEM_LIMIT_BYTES) -> bool:
    """Say whether a text is more than ``limit`` bytes of UTF-8."""
    if len(text) > limit:
        return True
    if len(text) * 4 <= limit or text.isascii():
        return False
    return len(text.encode("utf-8", "surrogatepass")) > limit


def count_in_threads(encoder: Encoder, texts: Sequence[str], threads: ThreadPoolExecutor) -> list[int]:
    """Count texts in a pool of threads, some hundred kilobytes at a time; the engines let other threads run."""
    chunks = list(_chunks(texts))
    if len(chunks) == 1:
        return encoder.count(texts)
    return [count for counts in threads.map(encoder.count, chunks) for count in counts]


def _chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    start = held = 0
    for end, text in enumerate(texts, 1):
        held += len(text)
        if held >= CHUNK_CHARS or end == len(texts):
            yield texts[start:end]
            start, held = end, 0


class OversizeWorker:
    """One helper process that counts large items one at a time, each within a deadline.

    The helper starts with the first item and stays for the next; ``close`` ends it. May be used from several threads:
    they wait for each other.

    Attributes:
        helper: the process that counts, while there is one.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self.helper: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize[..., OversizeWorker] | None = None

    def count(self, vocabulary: str, text: str, seconds: float) -> int | None:
        """Count one text.

        Args:
            vocabulary: name of the vocabulary.
            text: the text.
            seconds: the deadline, from when the helper has the text and the vocabulary; 0: none.

        Returns:
            Its tokens, or None if the helper was over its time or its memory.

        Raises:
            TokenizerError: the helper does not start, or refuses the vocabulary.
        """
        with self._turn:
            try:
                kind, count = _ask(self._living_helper(), vocabulary, text, seconds)
                if kind == _LOST:  # something ended the helper between two items
                    kind, count = _ask(self._living_helper(), vocabulary, text, seconds)
            except BaseException:  # Ctrl-C too: a helper in an unknown state is of no use
                self._kill()
                raise
            if kind == _COUNTED:
                return count
            self._kill()
            if kind == _REFUSED:
                message = f"the counting helper refuses vocabulary {vocabulary!r}"
                raise TokenizerError(message, hint="See what is there with: callcost tokens install --help")
            return None

    def close(self) -> None:
        """End the helper, whatever it is doing."""
        if helper := self.helper:
            helper.kill()  # frees a thread that waits for it, and with it the turn
        with self._turn:
            self._kill()

    def _living_helper(self) -> subprocess.Popen[bytes]:
        """Return the helper; a fresh one if there is none, or if something ended it between two items."""
        if self.helper is not None and self.helper.poll() is None:
            return self.helper
        self._kill()
        command = [sys.executable, "-c", _START, *sys.path]
        self.helper = subprocess.Popen(  # noqa: S603 - our own interpreter and our own words
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._end = weakref.finalize(self, _reap, self.helper)  # runs at exit too
        if _read_reply(_pipe(self.helper.stdout))[0] != _STARTED:
            raise TokenizerError("the helper that counts large texts does not start")
        return self.helper

    def _kill(self) -> None:
        if self._end is not None:
            self._end()
        self.helper = self._end = None


def _ask(helper: subprocess.Popen[bytes], vocabulary: str, text: str, seconds: float) -> tuple[bytes, int]:
    """Send one item; return how that went and its count."""
    requests, replies = _pipe(helper.stdin), _pipe(helper.stdout)
    name, data = vocabulary.encode(), repair(text).encode()
    try:
        requests.write(_REQUEST.pack(seconds, len(name), len(data)) + name)
        requests.write(data)
        requests.flush()
        reply = _read_reply(replies)
    except BrokenPipeError:
        reply = _ENDED, 0
    if reply[0] == _ENDED:
        helper.wait()
        return _LOST, 0
    if reply[0] != _READY:
        return reply
    with _deadline(helper, seconds):
        return _read_reply(replies)


@contextlib.contextmanager
def _deadline(helper: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
    """Kill the helper after so many seconds; 0: never."""
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        helper.kill()

    timer = threading.Timer(seconds, expire)
    timer.daemon = True
    if seconds:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if seconds:
            timer.join()
        if expired.is_set():
            helper.wait()  # so that nobody takes it for a living one


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise TokenizerError("the helper that counts large texts has no pipe")
    return stream


def _read_reply(stream: IO[bytes]) -> tuple[bytes, int]:
    data = stream.read(_REPLY.size)
    if len(data) < _REPLY.size:
        return _ENDED, 0
    kind, count = _REPLY.unpack(data)
    return kind, count


def _reap(helper: subprocess.Popen[bytes]) -> None:
    helper.kill()
    for stream in (helper.stdin, helper.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    helper.wait()


def serve() -> None:
    """Count items from standard input until it ends; the helper process's whole life."""
    _guard_helper()
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever else prints must not get between the replies
    items: queue.SimpleQueue[tuple[float, str, str]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(items,), daemon=True).start()
    replies.write(_REPLY.pack(_STARTED, 0))
    while True:
        seconds, vocabulary, text = items.get()
        try:
            encoder = load_encoder(vocabulary)
            encoder.encode("a")  # sets all of it up before the time begins
        except TokenizerError:
            replies.write(_REPLY.pack(_REFUSED, 0))
            continue
        replies.write(_REPLY.pack(_READY, 0))
        with _own_deadline(seconds):
            count = encoder.count([text])[0]
        replies.write(_REPLY.pack(_COUNTED, count))


def _receive(items: queue.SimpleQueue[tuple[float, str, str]]) -> None:
    """Pass requests on; end the process when the parent is gone, whatever the main thread is doing."""
    stream = os.fdopen(0, "rb")
    try:
        while head := stream.read(_REQUEST.size):
            seconds, name_bytes, text_bytes = _REQUEST.unpack(head)
            vocabulary = stream.read(name_bytes).decode()
            items.put((seconds, vocabulary, stream.read(text_bytes).decode()))
    finally:
        os._exit(0)


def _guard_helper() -> None:
    """Cap the helper's memory, and leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(ImportError, OSError, ValueError):  # Windows has no such limits
        import resource  # noqa: PLC0415 - not on Windows

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold the text
        resource.setrlimit(resource.RLIMIT_AS, (HELPER_MEMORY_BYTES, HELPER_MEMORY_BYTES))


@contextlib.contextmanager
def _own_deadline(seconds: float) -> Iterator[None]:
    """Let the system end this process some time after the deadline, should the parent fail to."""
    if not seconds or not hasattr(signal, "setitimer"):
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds + GRACE_SECONDS)  # SIGALRM's default ends the process
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
