"""Where text is printed: the one place, which knows what a terminal must not get and what a closed stream means.

Names come out of logs, so that they may hold anything. What would steer a terminal, or turn the text around it, is
shown by its number; markup is text. Messages for people go to stderr and never end a run; data goes to stdout.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any, cast

from callcost.errors import ReportError
from callcost.readable import UNSAFE, by_number, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_OF_A_TEXT = re.compile(f"(?![\n\t])[{UNSAFE}]")


def safe_document(text: str) -> str:
    r"""Return JSON or TOML in which what would steer a terminal is escaped as these formats have it.

    >>> safe_document('{"user": "a\x9b"}')
    '{"user": "a\\u009b"}'
    """
    return _OF_A_TEXT.sub(lambda found: json.dumps(found.group())[1:-1], text)


def say(*lines: str) -> None:
    """Write lines for people to stderr; if nobody can read them any more, the work goes on."""
    STDERR.write("".join(f"{visible(line)}\n" for line in lines))


def say_document(text: str) -> None:
    """Write a line of JSON to stderr, as say does."""
    STDERR.write(safe_document(text) + "\n")


def show(*lines: str) -> None:
    """Write lines of data to stdout.

    Raises:
        ReportError: they cannot be written, and not because the reader has seen enough.
    """
    STDOUT.write("".join(f"{visible(line)}\n" for line in lines))


def show_document(text: str) -> None:
    """Write JSON or TOML to stdout, its names escaped where that is needed.

    Raises:
        ReportError: see show.
    """
    STDOUT.write(safe_document(text.removesuffix("\n")) + "\n")


def show_text(text: str) -> None:
    """Write a text that was asked for as it is; a terminal gets what is safe for it.

    Raises:
        ReportError: see show.
    """
    STDOUT.write(_OF_A_TEXT.sub(by_number, text) if STDOUT.isatty() else text)


def show_bytes(data: bytes) -> None:
    """Write what is no text to stdout.

    Raises:
        ReportError: a terminal cannot show it, or see show.
    """
    if STDOUT.isatty():
        raise ReportError("a terminal cannot show a binary file", hint="Send it to a file with >, or give --out DIR")
    STDOUT.write_bytes(data)


def text_of(value: object) -> Text:
    """Return a cell or a title of a table: markup in it is text."""
    from rich.text import Text  # noqa: PLC0415 - only where a table is drawn

    return Text(visible(str(value)))


def console_of(stream: Stream) -> Console:
    """Return what draws tables and bars on a stream."""
    from rich.console import Console  # noqa: PLC0415 - only where a table is drawn

    return Console(file=cast("IO[str]", stream.as_it_is()))  # it asks for write, flush, isatty, fileno and encoding


class Stream:
    """One of the process's own streams.

    Args:
        name: "stdout" or "stderr" of sys.
        needed: whether what cannot be written is a failure.
        fixed: stands for what has that name now; None: whatever has it when something is written.
    """

    def __init__(self, name: str, *, needed: bool, fixed: IO[str] | None = None) -> None:
        self._name, self._needed, self._fixed = name, needed, fixed

    def as_it_is(self) -> Stream:
        """Return the stream that has the name now: while a bar is drawn, the name stands for the space above it."""
        return Stream(self._name, needed=self._needed, fixed=self._stream)

    @property
    def _stream(self) -> IO[str] | None:
        found: IO[str] | None = self._fixed or getattr(sys, self._name)  # None: closed when the process began
        return found

    @property
    def encoding(self) -> str:
        """Its encoding."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """Say whether a person reads along."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # closed
            return False

    def fileno(self) -> int:
        """Return its number, which says how wide a terminal is."""
        if self._stream is None:
            raise OSError
        return self._stream.fileno()

    def write(self, text: str) -> int:
        """Write a text and see it off.

        Raises:
            ReportError: it is needed and cannot be written.
        """
        stream = self._stream
        if stream is not None:
            shown = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
            self._see_off(stream, lambda: stream.write(shown))
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Write bytes and see them off.

        Raises:
            ReportError: see write.
        """
        stream: Any = self._stream
        if stream is not None:
            stream.flush()
            self._see_off(stream, lambda: stream.buffer.write(data))

    def _see_off(self, stream: Any, write: Callable[[], object]) -> None:
        try:
            write()
            stream.flush()
        except ValueError:  # closed since
            pass
        except OSError as error:
            self._leave(stream)
            if self._needed and not isinstance(error, BrokenPipeError):
                message = f"cannot write to standard output: {error.strerror or error}"
                raise ReportError(message, hint="Check where it goes, then run again") from error

    def flush(self) -> None:
        """Do nothing: what is written is seen off at once."""

    @staticmethod
    def _leave(stream: IO[str]) -> None:
        """Let a stream that nobody reads, or that is full, take the rest without a word, at the exit too."""
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
            stream.flush()
        except (OSError, ValueError):
            pass


STDOUT, STDERR = Stream("stdout", needed=True), Stream("stderr", needed=False)


def open_closed_streams() -> None:
    """Let a process whose standard streams are closed write nowhere, so that no file it opens takes their numbers.

    A process that was begun with `>&-` would have its first log as number 1, and what prints writes there.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)  # worker processes stand the same way
            stream: Any = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - for the process
            setattr(sys, name, stream)
