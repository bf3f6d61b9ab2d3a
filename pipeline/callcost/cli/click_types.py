"""How a command line is taken in: commands and the kinds of their words, beside what click has."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import click

from callcost import arguments
from callcost.errors import ConfigError


class Verb(click.Command):
    """A command that refuses words that are no text; only the names of files may be any bytes.

    Options that few need are hidden from --help; --help-all shows them too.
    """

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        if any(_hidden_of(self)):
            words: dict[str, Any] = {"is_flag": True, "is_eager": True, "expose_value": False, "callback": _show_all}
            self.params.append(click.Option(["--help-all"], help="Show all options, and exit.", **words))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words after the command."""
        left = super().parse_args(ctx, args)
        for parameter in self.params:
            value = ctx.params.get(parameter.name or "")
            if not isinstance(parameter.type, LogType | click.Path | click.File):
                for word in value if isinstance(value, tuple) else (value,):
                    _refuse_bytes(word, parameter)
        return left


class VerbGroup(click.Group):
    """A group of verbs that names the nearest one for a word that is none."""

    command_class = Verb

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb that the next word names."""
        word, verbs = args[0], self.list_commands(ctx)
        if word not in verbs and not word.startswith("-"):
            error = arguments.unknown("no command", word, verbs)
            raise click.UsageError(str(error), ctx)
        return super().resolve_command(ctx, args)


class LogType(click.ParamType):  # type: ignore[type-arg]  # generic only since click 8.4
    """A place of logs or bills. Unlike other words it need not be UTF-8, since the names of files may be any bytes."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a place."""
        return arguments.read_log(value, name_of(param))


class PathType(click.Path):
    """A path; "~" is the user's own folder, also where the shell did not see it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a path, and make the checks of click.Path on it."""
        return super().convert(arguments.read_place(value, name_of(param)), param, ctx)


class FileType(click.File):
    """A file that is opened; "~" is the user's own folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Open a file."""
        place = arguments.read_log(value, name_of(param)) if isinstance(value, str) else value
        return super().convert(place, param, ctx)


class FileOrUrlType(FileType):
    """A file that is opened, or the text of an address of the web."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Open a file, or leave an address as it is."""
        if isinstance(value, str) and value.startswith(("http://", "https://")):
            return value
        return super().convert(value, param, ctx)


class AmountType(click.ParamType):  # type: ignore[type-arg]  # see LogType
    """An amount of money, exact."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a number."""
        try:
            return Decimal(value)
        except InvalidOperation:
            self.fail(f"{value!r} is not an amount; write 99.50", param, ctx)


class WordType(click.Choice):  # type: ignore[type-arg]  # generic only since click 8.2
    """One of several words; for a mistyped one the nearest is named."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a word."""
        return arguments.one_of(list(self.choices))(value, name_of(param))


def _hidden_of(command: click.Command) -> list[click.Option]:
    return [option for option in command.params if isinstance(option, click.Option) and option.hidden]


def _show_all(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    hidden, plain = _hidden_of(context.command), context.command.get_help_option(context)
    for option in hidden:
        option.hidden = False
    try:
        if plain is not None and plain.callback is not None:
            plain.callback(context, plain, value)  # writes the help, and ends the command
    finally:
        for option in hidden:
            option.hidden = True


def name_of(parameter: click.Parameter | None) -> str:
    """Return how messages call an option or an argument: as programs do."""
    if parameter is None:
        return "value"
    return max(parameter.opts, key=len).lstrip("-").replace("-", "_")


def _refuse_bytes(word: object, parameter: click.Parameter) -> None:
    if isinstance(word, str) and not arguments.is_utf8(word):
        raise ConfigError(f"{name_of(parameter)}: {word!r} is not UTF-8")
