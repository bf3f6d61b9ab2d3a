"""Run the command: `callcost` and `python -m callcost` are the same."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Sequence

from callcost.errors import EXIT_FAILED, EXIT_INTERRUPTED
from callcost.settings import STOP_SIGNALS


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; the one place where an error becomes text."""
    from callcost.cli.root import run  # noqa: PLC0415 - spawned workers import this module and need none of it

    sys.exit(run(arguments))


def command() -> None:
    """Run the command line in a process of its own, which ends at once.

    Python would take every module and vocabulary apart first, which lasts as long as a quarter of a short report. All
    else that is done at an exit is done: what is registered first is called last.
    """
    code: object = EXIT_FAILED
    atexit.register(lambda: _end(code))
    _stop_as_ctrl_c_does()
    try:
        from callcost.cli.terminal.output import open_closed_streams  # noqa: PLC0415 - as in main

        open_closed_streams()
        if sys.platform == "win32" and sys.stdout is not None and not sys.stdout.isatty():
            sys.stdout.reconfigure(encoding="utf-8", newline="\n")  # type: ignore[union-attr]  # or it is the code page's
        main()
    except SystemExit as leaving:
        code = EXIT_INTERRUPTED if _stops and leaving.code == EXIT_FAILED else leaving.code
        raise
    except KeyboardInterrupt:  # before there was anything to interrupt
        code = EXIT_INTERRUPTED
        sys.exit("callcost: interrupted")
    except Exception:
        if not _stops:
            raise
        code = EXIT_INTERRUPTED  # an import that was interrupted half-way fails in ways of its own
        sys.exit(f"callcost: interrupted by {_stops[0]}")
    finally:  # what is left to do at the exit is short, and its interruption would be a traceback
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _stop_as_ctrl_c_does() -> None:
    """Let SIGTERM and SIGHUP end the process as Ctrl-C does, unless whoever started it said that it ignores them."""
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)


_stops: list[str] = []  # the signals that were to end the process


def _interrupt(number: int, _frame: object) -> None:
    _stops.append(signal.Signals(number).name)
    raise KeyboardInterrupt(_stops[-1])


def _end(code: object) -> None:
    code = code if isinstance(code, int) else EXIT_FAILED
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:  # the reader has seen enough
            pass
        except (OSError, ValueError):  # full, or closed
            code = code or EXIT_FAILED
    os._exit(code)


if __name__ == "__main__":
    command()
