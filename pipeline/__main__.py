"""Run the command: `callcost` and `python -m pipeline` are the same."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code; the one place where an error becomes text."""
    from pipeline.cli.root import run  # noqa: PLC0415 - spawned workers import this module and need none of it

    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
