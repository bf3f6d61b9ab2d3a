"""`callcost prices`: look at the dated cost maps, compare them, add to them, check them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from callcost.cli import options as shared
from callcost.cli.click_types import FileOrUrlType, LogType, PathType, VerbGroup
from callcost.cli.terminal.events import counted
from callcost.cli.terminal.findings import (
    Logs,
    price_for_logs,
    show_addition,
    show_suspicions,
    summary_of,
    suspicion_rows,
    times_of,
)
from callcost.cli.terminal.listing import per_million, plain, show_block, show_json, show_rows
from callcost.cli.terminal.output import say, show
from callcost.errors import ConfigError, PriceError, UnknownModelError
from callcost.prices.book.archive import isoformat, microseconds
from callcost.prices.book.book import PULL_HINT, Book, open_book
from callcost.prices.book.catalog import Version, load_catalog
from callcost.prices.book.changes import PriceChange, compare_maps, prices_of
from callcost.prices.book.corrections import open_suspicions
from callcost.prices.book.cost_map import Entry
from callcost.prices.upstream.checks import Findings, explain_fields, find_damage, find_suspicious, find_unplaced_fields
from callcost.settings import PriceOptions

if TYPE_CHECKING:
    from callcost.jobs.price_history import PriceEvent
    from callcost.net.price_maps import Addition, Judged


@click.group(cls=VerbGroup)
def prices() -> None:
    """List, show and compare the dated cost maps, and add to them."""


@prices.command("list")
@shared.form_option
def list_versions(form: str) -> None:
    """List every version, oldest first, with the moment from which it is in force."""
    catalog = load_catalog()
    sizes = catalog.sizes()
    if form == "json":
        show_json([{**_facts(version), "models": sizes[version.index]} for version in catalog.versions])
        return
    show_rows(
        ("in force from", "version", "models", "origin", "sha256"),
        [
            (version.effective_text, version.name, sizes[version.index], version.origin, version.sha256[:12])
            for version in catalog.versions
        ],
        numbers=("models",),
    )


@prices.command("show")
@click.argument("model")
@click.option("--at", metavar="TIME", help="When the call is made (ISO date or time, UTC).  [default: now]")
@shared.price_options
@shared.form_option
def show_price(model: str, at: str | None, form: str, **words: Any) -> None:
    """Show what a call of MODEL costs, which version says so, and how the name was found."""
    book = open_book(shared.price_options_of(words))
    found = book.resolve(model, at=_moment(at))
    if found.key is None or found.entry is None:
        raise _unknown(model, book)
    facts = next((_facts(version) for version in book.catalog.versions if version.name == found.version), {})
    if form == "json":
        how = {"basis": found.basis, "reason": found.reason, "rung": found.rung, "discounts": dict(found.discount)}
        show_json({"model": found.key, "version": found.version, **facts, **how, "entry": dict(found.entry)})
        return
    about = ", ".join(str(found.entry[key]) for key in ("litellm_provider", "mode") if key in found.entry)
    since = f" of {facts['effective_from']}" if facts else ""
    show(f"{found.key}: {about}" if about else found.key)
    show(f"{found.version}{since}: {found.basis}" if found.version else f"unpriced: {found.reason}")
    if found.key != model:
        show(f"name found by: {found.rung}")
    for place, factor in found.discount:
        show(f"discount of {place}: {plain(factor)} of each rate is charged")
    show("")
    _show_entry(found.entry)


@prices.command()
@click.argument("model")
@click.option("--svg", metavar="FILE", type=PathType(dir_okay=False), help="Also draw a small chart of it.")
@shared.form_option
def history(model: str, svg: str | None, form: str) -> None:
    """Show every price that MODEL had: since when, since when the book says so, and who says it."""
    from callcost.jobs.price_history import draw_history, price_history  # noqa: PLC0415

    book = open_book(PriceOptions())
    name = book.resolve(model, at=_moment(None)).key
    if name is None:
        raise _unknown(model, book)
    rows = [{**dataclasses.asdict(event), **_dates_of(event)} for event in price_history(name, book)]
    if svg is not None:
        draw_history(name, book, svg)
    if form == "json":
        show_json(rows)
        return
    show_rows(
        tuple(title.replace("_", " ").replace("effective", "charged") for title in rows[0]) if rows else (),
        [[plain(cell) if isinstance(cell, Decimal) else cell or "" for cell in row.values()] for row in rows],
        numbers=("before", "after"),
    )


def _dates_of(event: PriceEvent) -> dict[str, str | None]:
    """Return the moments of an event as text, UTC."""
    moments = {name: getattr(event, name) for name in ("effective_from", "known_from", "effective_to")}
    return {name: None if moment is None else isoformat(moment) for name, moment in moments.items()}


@prices.command()
@click.argument("old", metavar="A")
@click.argument("new", metavar="B")
@click.option("--logs", multiple=True, metavar="LOGS", type=LogType(),
              help="Say what it means in money for these calls. Repeatable.")  # fmt: skip
@shared.select_options
@shared.read_options
@shared.work_options
@shared.form_option
def diff(old: str, new: str, form: str, **words: Any) -> int:
    """Show what version B says that version A does not: names, dates or latest.

    With --logs, show by model what the calls in the logs cost by either version.
    """
    catalog = load_catalog()
    first, second = catalog.find(old), catalog.find(new)
    if words["logs"]:
        return _diff_of_calls(first, second, form, words)
    found = compare_maps(catalog.map_of(first), catalog.map_of(second))
    if form == "json":
        changed = [{"model": change.model, **fields} for change in found.prices for fields in _by_field([change])]
        sides = {"a": _facts(first), "b": _facts(second)}
        show_json({**sides, "added": found.added, "dropped": found.dropped, "prices": changed})
        return 0
    show(_between(first, second))
    show(summary_of(found), "")
    show_rows(
        ("model", "field", "before", "after", "times"),
        [
            *((change.model, change.field, plain(change.old), plain(change.new), times_of(change))
              for change in found.prices),
            *((model, "(added)", "", "", "") for model in found.added),
            *((model, "(dropped)", "", "", "") for model in found.dropped),
        ],
        numbers=("before", "after", "times"),
    )  # fmt: skip
    return 0


def _diff_of_calls(first: Version, second: Version, form: str, words: dict[str, Any]) -> int:
    from callcost.cli.terminal.summary import watched  # noqa: PLC0415 - rich and Polars load when logs are read
    from callcost.jobs.diff_prices import revalue_calls  # noqa: PLC0415

    table = watched(revalue_calls, shared.report_options_of(words), first.name, second.name, quiet=words["quiet"])
    rows, calls = table.to_dicts(), int(table["calls"].sum())
    if form == "json":
        show_json({"a": _facts(first), "b": _facts(second), "models": rows})
    else:
        show(f"{_between(first, second)}: {calls:,} calls", "")
        sums = {name: table[name].sum() for name in table.columns if name != "model"}
        titles = ("model", "calls", "cost by A", "cost by B", "difference", "newly priced", "no longer priced",
                  "unpriced by A", "unpriced by B")  # fmt: skip
        show_rows(
            titles,
            [
                (row["model"], f"{row['calls']:,}", *(plain(row[name]) for name in _AMOUNTS),
                 row["old_unpriced"], row["new_unpriced"])
                for row in [*rows, {"model": "in total", **sums}]
            ],
            numbers=titles[1:],
        )  # fmt: skip
        if sums["old_unpriced"] or sums["new_unpriced"]:
            show("", "Difference: what both versions price. A + difference + newly priced - no longer priced = B.")
    if not calls:
        say("no call to compare: there is none, or the filters leave all out; `callcost report` says which")
    return 0 if calls else 1


_AMOUNTS = ("old_cost", "new_cost", "difference", "newly_priced", "no_longer_priced")


def _between(first: Version, second: Version) -> str:
    return f"{first.name} of {first.effective_text} -> {second.name} of {second.effective_text}"


_folder_option = click.option("--folder", metavar="DIR", type=PathType(file_okay=False, path_type=Path),
                              help="Add it to the versions in this folder.  [default: your own]")  # fmt: skip


@prices.command()
@click.argument("file", type=FileOrUrlType("rb"))
@click.option("--effective-from", required=True, metavar="TIME",
              help="Since when it is in force (ISO date or time, UTC).")  # fmt: skip
@click.option("--name", metavar="NAME", help="What the version is called.  [default: that of the wheel, or user- and "
              "the date]")  # fmt: skip
@click.option("--source", metavar="TEXT", help="Where the map comes from.  [default: the wheel or the file's name]")
@_folder_option
@click.option("--force", is_flag=True, help="Add it whatever the checks say.")
@shared.form_option
def add(file: IO[bytes] | str, effective_from: str, form: str, **more: Any) -> None:
    """Add FILE to your own versions: a map in LiteLLM's format (- is stdin), a wheel of LiteLLM, or a URL of either."""
    from callcost.net.price_maps import add_file  # noqa: PLC0415

    def put(judged: Judged) -> Addition:
        return add_file(file, effective_from=_moment(effective_from), judged=judged, **more)

    _put(put, "it says what the version before it says", form)


@prices.command()
@click.option("--url", metavar="URL", help="Of a map in LiteLLM's format.  [default: the one that LiteLLM publishes]")
@_folder_option
@click.option("--dry-run", is_flag=True, help="Fetch, check and show; add nothing.")
@click.option("--force", is_flag=True, help="Add it whatever the checks say; what is suspicious stays on record.")
@shared.money_options
@shared.form_option
def pull(url: str | None, folder: Path | None, dry_run: bool, force: bool, form: str, **words: Any) -> None:
    """Fetch the published map and add it to your own versions, in force from now on.

    Prices that no change of a price explains are listed, and refused without --force.
    """
    from callcost.net.price_maps import LITELLM_MAP, pull_map  # noqa: PLC0415

    def put(judged: Judged) -> Addition:
        return pull_map(url or LITELLM_MAP, folder=folder, dry_run=dry_run, force=force, judged=judged)

    _put(put, "this is a dry run" if dry_run else "it says what the version in force says", form, _logs(words))


def _put(put: Callable[[Judged], Addition], why_not: str, form: str, logs: Logs | None = None) -> None:
    """Add a map and show what the checks found, also where they refuse it; logs that cannot be read add nothing."""
    judged: list[Findings] = []
    moved: dict[tuple[str, str], Decimal] = {}

    def judge(found: Findings) -> None:
        judged.append(found)
        moved.update(price_for_logs(found.suspicions, found.map, logs))

    try:
        added = put(judge)
    except PriceError:
        if judged and judged[0].suspicions:
            show_addition(None, judged[0], "it looks wrong", form, moved)
        raise
    show_addition(added.version, added.findings, why_not, form, moved)


def _logs(words: Mapping[str, Any]) -> Logs | None:
    return Logs(shared.report_options_of(words), words["quiet"]) if words["logs"] else None


@prices.command()
@click.argument("file", type=PathType(dir_okay=False))
@shared.corrections_option
def export(file: str, corrections: str) -> None:
    """Write every dated price of every model to FILE: .parquet, .json (a line a row) or .csv."""
    from callcost.jobs.export_prices import export_prices  # noqa: PLC0415 - Polars loads when it runs

    say(f"{counted(export_prices(file, corrections), 'price')} in {file}")


@prices.command()
@click.option("--from", "first", metavar="VERSION",
              help="Judge the prices of versions from there on.  [default: your own, else the newest]")  # fmt: skip
@shared.money_options
@shared.form_option
def verify(first: str | None, form: str, **words: Any) -> int:
    """Check every version: its digest, that each of its cost fields is understood, and the newest's prices.

    Ends with 3 where a version of your own has suspicious prices that were not forced.
    """
    catalog = load_catalog()
    damaged, unplaced, explained = find_damage(catalog), find_unplaced_fields(catalog), explain_fields(catalog)
    own = [version for version in catalog.versions if version.origin == "user"]
    asked = catalog.versions[catalog.find(first).index :] if first else own or [catalog.newest]
    found = find_suspicious(catalog, asked)
    suspicions = [each for _, each in found]
    entries = {each.model: catalog.entry(each.model, version) or {} for version, each in found}
    moved = price_for_logs(suspicions, entries, _logs(words))
    if form == "json":
        fields = [{"field": f, "since": version.name, "models": names} for f, (version, names) in unplaced.items()]
        show_json({"versions": len(catalog.versions), "damaged": [v.name for v in damaged], "unplaced": fields,
                   "explained": explained, "suspicions": suspicion_rows(suspicions, moved)})  # fmt: skip
    else:
        show(f"{len(catalog.versions):,} versions, {len(catalog.models):,} models")
        show(f"{len(damaged):,} versions differ from their digest" if damaged else "every digest is right")
        rows = [(field, version.name, len(names), names[0]) for field, (version, names) in unplaced.items()]
        show_block("cost fields that are not understood", ("field", "since", "models", "such as"), rows, ("models",))
        show_block("cost fields that are not charged", ("field", "why"), list(explained.items()))
        show_suspicions(suspicions, moved)
    if damaged:
        message = f"damaged price versions: {', '.join(version.name for version in damaged)}"
        raise PriceError(message, hint="Install callcost again, or remove your own version")
    forced = {(row.model, row.field, row.value) for row in open_suspicions()}
    crossed = any(version in own and (each.model, each.field, each.new) not in forced for version, each in found)
    return 1 if unplaced else 3 if crossed else 0


def _show_entry(entry: Entry) -> None:
    amounts = prices_of(entry)
    rows = [(field, plain(amount), per_million(field, amount)) for field, amount in amounts.items()]
    heads = {field.partition(".")[0].partition("[")[0] for field in amounts}
    rows += [(field, _words(value), "") for field, value in entry.items() if field not in heads]
    show_rows(("field", "value", "per million"), rows, numbers=("value", "per million"))


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(item)}" for key, item in value.items())
    return ", ".join(map(_words, value)) if isinstance(value, list) else str(value)


def _unknown(model: str, book: Book) -> UnknownModelError:
    near = book.suggest(model)
    target = book.target_of(model)
    alias = f": an alias of {target!r}, which no version knows" if target else ""
    hint = "; ".join([f"Near: {', '.join(near)}"] * bool(near) + [PULL_HINT])
    return UnknownModelError(f"unknown model {model!r}{alias}", hint=hint)


def _facts(version: Version) -> dict[str, object]:
    about = {name: getattr(version, name) for name in ("source", "origin", "sha256")}
    return {"version": version.name, "effective_from": version.effective_text, **about}


def _by_field(changes: list[PriceChange]) -> list[dict[str, object]]:
    return [{"field": change.field, "before": change.old, "after": change.new} for change in changes]


def _moment(words: str | None) -> int:
    """Return --at as microseconds since 1970; None is now."""
    if words is None:
        return time.time_ns() // 1000
    try:
        return microseconds(words)
    except ValueError as error:
        raise ConfigError(f"{words!r} is not a time", hint="Write 2026-11-20 or 2026-11-20T13:00:00Z") from error
