"""Every exception of the package, and the codes that a process ends with.

    CallcostError            what, hint, slug; everything below is one
    |- ConfigError           an option or a file of options is wrong          (exit 2)
    |  `- ArgumentError      an argument of a helper is wrong; also a ValueError
    |- LogError              a log cannot be found or opened
    |- TokenizerError        a vocabulary cannot be found, verified or used
    |- PriceError            a price version or a rate is missing or wrong
    |  `- UnknownModelError  no version prices the model; also a LookupError
    |- ReportError           a report cannot be written
    `- RunError              the run as a whole failed
       `- UnfinishedError    a part is done; run again to do the rest           (exit 4)

Rows never raise: a record that cannot become a call is a reject, a call that cannot be priced is
unpriced. Only ``main()`` turns an error into text. Each takes one positional message, so that it
survives pickling on its way out of a worker process.
"""

from __future__ import annotations

import os
import re

EXIT_FAILED, EXIT_USAGE, EXIT_UNFINISHED, EXIT_INTERRUPTED = 1, 2, 4, 130
_OS_ERROR = re.compile(r"\(os error (\d+)\)")


class CallcostError(Exception):
    """Say what went wrong with which thing, and what to do next.

    Args:
        message: the thing and the place, in one line.
        hint: the next step for the person who reads it, or "".
    """

    slug = "error"
    exit_code = EXIT_FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.hint))

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


def _rebuild(kind: type[CallcostError], message: str, hint: str) -> CallcostError:
    return kind(message, hint=hint)


class ConfigError(CallcostError):
    """An option, an environment variable or a file of options is wrong."""

    slug = "config"
    exit_code = EXIT_USAGE


class ArgumentError(ConfigError, ValueError):
    """An argument of a helper is wrong; what LiteLLM refuses, it refuses with a ValueError."""

    slug = "argument"


class LogError(CallcostError):
    """A log cannot be found or opened."""

    slug = "log"


class TokenizerError(CallcostError):
    """A vocabulary cannot be found, verified or used."""

    slug = "tokenizer"


class PriceError(CallcostError):
    """A price version or a rate is missing or wrong."""

    slug = "price"


class UnknownModelError(PriceError, LookupError):
    """No version that applies prices the model."""

    slug = "unknown_model"


class ReportError(CallcostError):
    """A report cannot be written."""

    slug = "report"


class RunError(CallcostError):
    """The run as a whole failed."""

    slug = "run"


class UnfinishedError(RunError):
    """A part is done and kept; the same command does the rest."""

    slug = "unfinished"
    exit_code = EXIT_UNFINISHED


def reason_of(error: BaseException) -> str:
    """Return why something was refused: the system's own words where there are any, else the error's first line."""
    number = _OS_ERROR.search(str(error))  # as Polars says it, behind words of its own
    if number is not None:
        return os.strerror(int(number[1]))
    return (error.strerror if isinstance(error, OSError) else None) or str(error).splitlines()[0]
