"""The command's root: its verbs, loaded when they are called, and the one place that turns errors into text."""

from __future__ import annotations

import errno
import gc
import importlib
import io
import json
from collections.abc import Sequence
from typing import Any

import click

from callcost import __version__
from callcost.cli.click_types import VerbGroup
from callcost.cli.terminal.events import RESUME, interrupted_line
from callcost.cli.terminal.output import say, show
from callcost.data_folders import data_dir
from callcost.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, CallcostError
from callcost.readable import visible
from callcost.settings import ENVIRONMENT_PREFIX, GC_THRESHOLDS

_VERBS = {
    "report": "Price the calls in the logs and sum the cost per group.",
    "agents": "Say what the coding agents on this machine used.",
    "query": "Answer a SELECT over calls, charges, spend and rejects.",
    "compare": "Say why one period or source cost more than another.",
    "what-if": "Say what the same calls would have cost otherwise.",
    "inspect": "Say what is in the logs; prices nothing.",
    "explain": "Explain one call: usage found, each rate and where it comes from.",
    "reconcile": "Compare our costs with the bill and explain the gap.",
    "bills": "Fetch a provider's bill, for reconcile.",
    "backfill": "Write the logs again, missing usage and cost filled in.",
    "gc": "Remove what runs left in a --work-dir.",
    "close": "Freeze a day of a nightly report.",
    "status": "Say how a nightly report stands, and what its last runs did.",
    "prices": "List, show and compare the dated cost maps.",
    "tokens": "Count, encode and decode text or messages.",
}
_ANALYSES = frozenset({"query", "compare", "what-if"})  # their modules are in a folder of their own
_OF_STREAMS = (errno.ENOSPC, errno.EIO, errno.EBADF)


class LazyGroup(VerbGroup):
    """A group whose commands are imported when they are run, so that --help costs nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the verbs in the order a user meets them."""
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb's module and return its command."""
        if cmd_name not in _VERBS:
            return None
        name, room = cmd_name.replace("-", "_"), "analysis." if cmd_name in _ANALYSES else ""
        command: click.Command = getattr(importlib.import_module(f"callcost.cli.commands.{room}{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs with their one line, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))


def _show_version(context: click.Context, _option: click.Parameter, asked: bool) -> None:
    """Show the version, the newest of the bundled cost maps, and which vocabularies are bundled."""
    if not asked:
        return
    maps = (data_dir() / "prices" / "index.jsonl").read_text(encoding="utf-8").splitlines()
    newest = max(map(json.loads, maps), key=lambda line: str(line["effective_from"]))
    listed = json.loads((data_dir() / "vocabularies" / "index.json").read_bytes())["vocabularies"]
    show(f"callcost {__version__}")
    show(f"prices: {newest['name']} of {newest['effective_from'][:10]}, {len(maps)} cost maps")
    show(f"vocabularies: {', '.join(row['name'] for row in listed)}")
    context.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
              help="Show the version, and those of the data, and exit.")  # fmt: skip
def callcost() -> None:
    """What LLM calls cost: read request logs, count missing tokens, price each call with the rates of its day.

    Exit codes: 0 done, 1 failed or no call at all, 2 wrong usage, 3 done but a gate was crossed,
    4 partly done and resumable, 130 interrupted.
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after the command; None: the process's own.

    Returns:
        The exit code.
    """
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        result: Any = callcost.main(
            args=None if arguments is None else list(arguments),
            prog_name="callcost",
            standalone_mode=False,
            auto_envvar_prefix=ENVIRONMENT_PREFIX,
        )
    except click.exceptions.Abort as aborted:
        if isinstance(aborted.__cause__, EOFError):  # click takes it for Ctrl-D at a prompt, and there is none
            raise aborted.__cause__ from None
        return _interrupted(aborted.__cause__)
    except KeyboardInterrupt as interrupt:
        return _interrupted(interrupt)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(file=shown)
        text = shown.getvalue()
        if isinstance(error, click.NoSuchOption):  # click 8.1 has its name as it is, line ends and all
            text = text.replace(name := click.unstyle(error.option_name), visible(name))
        say(*text.rstrip("\n").split("\n"))
        return EXIT_USAGE
    except CallcostError as error:
        say(f"callcost: {error}")
        return error.exit_code
    except OSError as error:
        if error.filename is not None or error.errno not in _OF_STREAMS:
            raise
        say(f"callcost: cannot write to standard output: {error.strerror}")  # click's own text, as of --help
        return EXIT_FAILED
    return result if isinstance(result, int) else 0


def _interrupted(interrupt: BaseException | None) -> int:
    say(interrupted_line(interrupt, RESUME))
    return EXIT_INTERRUPTED
