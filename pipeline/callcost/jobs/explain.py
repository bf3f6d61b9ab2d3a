"""`callcost explain`: one call, line by line: usage found, how it was read, each rate and where it comes from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from callcost.errors import LogError
from callcost.jobs.engine.held_calls import check_held, prices_of_held
from callcost.jobs.engine.map_reduce import Settled, ratios_found, working_folder
from callcost.jobs.report import open_source, settle_options
from callcost.jobs.state.read_once import map_once
from callcost.logs.io.inputs import Input, read_raw
from callcost.logs.values.json import Refusal, decode, decode_text
from callcost.settings import ReportOptions
from callcost.stages.count.hidden_reasoning import fill_reasoning
from callcost.stages.dedup.late_digests import settle_digests
from callcost.stages.dedup.resolve import facts_beside, settle_duplicates
from callcost.stages.pricing.price_facts import price_facts
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.report.line_accounts import LineAccount, account_lines
from callcost.stages.report.spend import filter_calls
from callcost.stages.tables.facts import number_rows, scan_facts
from callcost.stages.tables.published_calls import priced_lines
from callcost.tables import HIDDEN, Reject

_SHOWN = (
    "call_id", "provider_response_id", "source_file", "source_row", "source_format", "started_at", "provider", "model",
    "model_requested", "user", "host", "billing", "service_tier", "region", "status", "flags", "usage_source",
    "count_method", "count_error", "logged_cost",
)  # fmt: skip
_USAGE_WORDS = ("usage", "token")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One call, explained.

    Attributes:
        call: columns of the call that are stated.
        found: path in the record -> number, of everything named usage or tokens; empty where the source is no log, or
            Parquet.
        lines: charge lines.
    """

    call: dict[str, Any]
    found: dict[str, int | float]
    lines: list[LineAccount]


def explain_call(options: ReportOptions, call_id: str) -> list[Explanation]:
    """Explain what a call costs and why.

    Args:
        options: ``logs`` names the source: logs, reports that hold calls, or states; ``prices``, ``read``, ``count``,
            ``since``, ``until`` and ``where`` matter.
        call_id: as in calls.parquet, or the provider's response id.

    Returns:
        One explanation per call with this id; several only where ids conflict.

    Raises:
        ConfigError: an option asks for what the source cannot give.
        LogError: no call in the source has the id.
    """
    options = settle_options(options)
    named = (pl.col("call_id") == call_id) | (pl.col("provider_response_id") == call_id)
    held, inputs = open_source(options), dict[int, Input]()
    if held is not None:
        check_held(held, options)
        options = dataclasses.replace(options, prices=prices_of_held(held, options))
        facts = settle_duplicates(priced_lines(held.calls.filter(named), {})).facts.filter(named)
    else:
        with working_folder(None) as folder:
            mapped = map_once(options, folder)
            facts, inputs = settle_duplicates(_facts_of(mapped, call_id, named, options)).facts, mapped.by_number
            facts = facts.filter(named)
            if facts["flags"].list.contains(HIDDEN).any():
                facts = fill_reasoning(facts, ratios_found(options, mapped), options.timezone)
    facts = filter_calls(facts, options)
    if facts.is_empty():
        message = f"no call {call_id!r} in {' '.join(options.logs)}"
        raise LogError(message, hint="The column call_id of calls.parquet (report --calls) lists them")
    calls = price_facts(facts, book_of(options.prices)).partition_by("piece", "record", maintain_order=True)
    return [_explain(call, inputs.get(call["input"][0]), options) for call in calls]


def _facts_of(mapped: Settled, call_id: str, named: pl.Expr, options: ReportOptions) -> pl.DataFrame:
    """Return the facts of the calls with an id, and only those that can be their copies."""
    digest = call_id.removeprefix("x-").rsplit("-", 1)[0]
    facts = facts_beside(scan_facts(mapped.tables("facts")), named | (pl.col("record_digest") == digest))
    return number_rows(settle_digests(facts, mapped.pieces, options.read), mapped.rows_before)


def _explain(facts: pl.DataFrame, source: Input | None, options: ReportOptions) -> Explanation:
    row = facts.sort("line").row(0, named=True)
    return Explanation(
        call={name: row[name] for name in _SHOWN if row[name] is not None},
        found=_numbers_of(source, row["source_row"], row["byte_offset"]) if source else {},
        lines=account_lines(facts, book_of(options.prices)),
    )


def _numbers_of(source: Input, row: int, offset: int | None) -> dict[str, int | float]:
    """Read the record again for its numbers; its text is not looked at."""
    if offset is None:
        return {}
    for raw in read_raw(source):
        if not isinstance(raw, Reject) and (raw.row, raw.offset) == (row, offset):
            try:
                return dict(_walk(decode(raw.data), "", wanted=False))
            except Refusal:
                return {}
    return {}


def _walk(value: Any, path: str, *, wanted: bool) -> Iterator[tuple[str, int | float]]:
    if isinstance(value, str) and value.startswith("{"):
        value = decode_text(value)  # a JSON column
    if isinstance(value, Mapping):
        for key, item in value.items():
            hit = wanted or any(word in str(key).lower() for word in _USAGE_WORDS)
            yield from _walk(item, f"{path}.{key}" if path else str(key), wanted=hit)
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _walk(item, f"{path}[{number}]", wanted=wanted)
    elif wanted and isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value
