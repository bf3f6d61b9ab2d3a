"""The schema of every table: each column's name, kind, unit and meaning, written once.

A kind is a plain word and a Polars type. Nothing stated is null, a stated zero is 0. Suffixes carry units: ``_tokens``
counts, ``_cost`` US dollars (exact decimals), ``_at`` UTC. Structs that come before tables are in callcost/tables.py.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import polars as pl
import pyarrow as pa

from callcost.tables import MONEY_SCALE, USAGE_COUNTS

MONEY, MONEY_TYPE = pl.Decimal(38, MONEY_SCALE), pa.decimal128(38, MONEY_SCALE)


class Column:
    """One column.

    Args:
        kind: a plain word, which layouts of facts are known by.
        dtype: type of Polars.
        doc: what the column means.
        arrow: type that Python values become a column by; None: they do not need it.
        unit: what is counted or measured; "": nothing is.

    Attributes:
        name: as the schema class has it.
    """

    def __init__(
        self, kind: str, dtype: pl.DataType, doc: str, *, arrow: pa.DataType | None = None, unit: str = ""
    ) -> None:
        self.name, self.kind, self.dtype, self.doc, self.arrow, self.unit = "", kind, dtype, doc, arrow, unit

    def __set_name__(self, _schema: type, name: str) -> None:
        self.name = name


def _structs(fields: dict[str, pl.DataType]) -> pl.DataType:
    return pl.List(pl.Struct(fields))


def _arrow_structs(**fields: pa.DataType) -> pa.DataType:
    return pa.list_(pa.struct(list(fields.items())))


_TEXT: pl.DataType = pl.String()
_WHOLE: pl.DataType = pl.Int64()
_COUNTS = dict.fromkeys(("prompt_tokens", "completion_tokens"), _WHOLE)
_RUN: dict[str, pl.DataType] = {
    "model": _TEXT, **_COUNTS, "price_status": _TEXT, "total_cost": MONEY,
    **dict.fromkeys(("cache_read_input_tokens", "cache_creation_input_tokens", "reasoning_tokens", "total_tokens"),
                    _WHOLE),
    **dict.fromkeys(
        ("input_cost", "output_cost", "other_cost", "cache_read_cost", "cache_write_cost", "reasoning_cost",
         "cache_savings_cost", "long_context_cost", "uncached_input_cost", "visible_output_cost"), MONEY
    ),
}  # fmt: skip
Text = partial(Column, "text", _TEXT)
Whole = partial(Column, "int", _WHOLE)
Tokens = partial(Whole, unit="tokens")
CallCount = partial(Whole, unit="calls")
Number = partial(Column, "number", pl.Float64())  # not exact
Switch = partial(Column, "switch", pl.Boolean())
Dollars = partial(Column, "money", MONEY, arrow=MONEY_TYPE, unit="US dollars")
Ratio = partial(Column, "ratio", MONEY)
Rate = partial(Column, "rate", pl.Decimal(38, 30), unit="US dollars")  # as written: 15 digits from the first on
Amount = partial(Dollars, unit="of the row's currency, or of what the bill counts")
Time = partial(Column, "time", pl.Datetime("us", "UTC"), unit="microseconds, UTC")
Date = partial(Column, "date", pl.Date(), unit="days")
Flags = partial(Column, "flags", pl.List(_TEXT), arrow=pa.list_(pa.string()))
Tags = partial(
    Column, "tags", _structs({"key": _TEXT, "value": _TEXT}), arrow=_arrow_structs(key=pa.string(), value=pa.string())
)
TAG_MAP = pl.Map(_TEXT, _TEXT)  # how tags are published
Units = partial(
    Column,
    "units",
    _structs({"unit": _TEXT, "quantity": MONEY}),
    arrow=_arrow_structs(unit=pa.string(), quantity=MONEY_TYPE),
    unit="each its own (prices/units.py)",
)
Iterations = partial(Column, "iterations", _structs(_RUN), unit="tokens, US dollars")


class Schema:
    """A table: subclasses have a column per attribute, in order.

    Attributes:
        columns: columns of the table, in order; those of the schema that it extends come first.
        names: names of the columns.
        types: name -> Polars type.
    """

    columns: ClassVar[tuple[Column, ...]] = ()
    names: ClassVar[tuple[str, ...]]
    types: ClassVar[dict[str, pl.DataType]]

    def __init_subclass__(cls) -> None:
        cls.columns = (*cls.columns, *(value for value in vars(cls).values() if isinstance(value, Column)))
        cls.names = tuple(column.name for column in cls.columns)
        cls.types = {column.name: column.dtype for column in cls.columns}


class Calls(Schema):
    """One call: a row of ``calls.parquet`` and of the days that a report remembers. Null is "not stated", never 0."""

    call_id = Text("the record's own id, else the provider's, else x- and a digest with its occurrence number")
    provider_response_id = Text("the provider's id of the response")
    source_file = Text("last component of the LOGS argument and the path below it")
    source_row = Whole("1-based in its container")
    source_format = Text("the dialect that read the record")
    started_at = Time("when the call was made (UTC); null: undated")
    ended_at = Time("when its answer was complete (UTC)")
    provider = Text("who was asked")
    model = Text("who answered; what is priced")
    model_requested = Text("who was asked for")
    user = Text("whose call it was")
    end_user = Text("on whose behalf")
    team = Text("who pays")
    api_key = Text("a hash, name or id of the key")
    org = Text("organisation")
    project = Text("project or workspace")
    session = Text("conversation")
    branch = Text("of the repository that an agent worked in")
    tags = Tags("key and value, sorted by key")
    service_tier = Text("as served, else as asked for")
    region = Text("cloud region or location")
    status = Text("success | failure | cache_hit")
    flags = Flags(
        "aborted ambiguous_usage assumed_units bad_time bad_logged_cost chunk_order hidden_reasoning id_conflict "
        "incomplete_usage inconsistent_usage provisioned reasoning_from_log repeated_row session_sum "
        "text_redacted|truncated|stripped|moved unread_usage"
    )
    usage_source = Text("reported | estimated_upstream | counted | partial | timed_out | absent")
    count_method = Text("exact | calibrated | estimated | timed_out; null if nothing was counted")
    count_error = Number("expected relative error of what was counted")
    prompt_tokens = Tokens("including cache reads and writes")
    cache_read_input_tokens = Tokens("part of the prompt that came from a provider's cache")
    cache_write_5m_tokens = Tokens("part of the prompt written to a five-minute cache")
    cache_write_1h_tokens = Tokens("part of the prompt written to a one-hour cache")
    cache_creation_input_tokens = Tokens("all cache writes")
    audio_input_tokens = Tokens("second axis: overlaps the cache counts")
    image_input_tokens = Tokens("second axis: overlaps the cache counts")
    completion_tokens = Tokens("including reasoning")
    reasoning_tokens = Tokens("part of the completion that is not shown")
    audio_output_tokens = Tokens("part of the completion")
    image_output_tokens = Tokens("part of the completion")
    total_tokens = Tokens("prompt + completion")
    iterations = Iterations("each sampling run, where the record states more than one")
    billed_units = Units("what was billed beside tokens")
    price_status = Text("priced | free | unpriced | partly_priced")
    price_reason = Text("why it is not priced, or why it is free")
    price_basis = Text("in_force | corrected | retired | first_listed_later | newest | other_table")
    price_rung = Text("the step of the name ladder that found the model")
    price_version = Text("name of the cost map that priced it")
    input_cost = Dollars("prompt and caches")
    output_cost = Dollars("completion")
    other_cost = Dollars("server tools, requests, sessions: neither input nor output")
    total_cost = Dollars("the sum of the three")
    logged_cost = Dollars("found in the log, never replaced")
    model_group = Text("the router's name for a group of deployments")
    cache_read_cost = Dollars("part of input_cost: tokens read from a cache; null: not stated, or without a rate")
    cache_write_cost = Dollars("part of input_cost: tokens written to a cache; null: not stated, or without a rate")
    reasoning_cost = Dollars("part of output_cost: reasoning; null: not stated, or without a rate")
    cache_savings_cost = Dollars("what cached and written tokens would have cost as plain input, less what they cost")
    host = Text("machine that the call was made on: as the log has it, else --host")
    billing = Text("how it is paid, as far as the log says: api | plan | credits | not_charged")
    uncached_input_cost = Dollars("input_cost without caches")
    visible_output_cost = Dollars("output_cost without reasoning")
    long_context_cost = Dollars("part of total_cost: what the size of the prompt added, above a threshold of the model")
    duplicates = CallCount("copies of the call that were left out")
    copy_key = Text("what copies of the call share, where its call_id does not say it; with pseudonyms a keyed hash")
    system_hash = Text("keyed hash of the system prompt and the tools; published where there is a key alone")
    first_turn_hash = Text("keyed hash of the first user turn; likewise")


FINGERPRINTS = (Calls.system_hash.name, Calls.first_turn_hash.name)


def columns_of_calls(*, hashed: bool) -> list[str]:
    """Return the names of the columns that calls are published with: those of hashes only where there was a key."""
    return [name for name in Calls.names if hashed or name not in FINGERPRINTS]


class Facts(Calls):
    """One charge line: what a call's row says, lineage and keys for the reduce step, and what pricing reads.

    A call has one line, a call with iterations one for each; line 0 carries the call.
    """

    line = Whole("0 for the call itself, then one per further iteration")
    lines = Whole("charge lines of this call")
    key = Text("what a duplicate shares: family and id, else a digest of the record's canonical bytes")
    key_kind = Text("id | bytes (no id, but a time below the second) | none (neither: of other files alone)")
    span = Text("trace and own id, where calls may be logged inside each other")
    parent = Text("the span that this one was made in")
    ancestors = Flags("sessions that the record may be copied from, nearest first; null: it is no copy of such")
    forked_at = Time("when the session was made that may begin with copies of theirs")
    replayed = Switch("true: a copy, as far as its own file tells; false: perhaps one, or only begun; both yield")
    request_digest = Text("blake2b-128 (hex) of the canonical request; null: none")
    record_digest = Text("blake2b-128 (hex) of the record's canonical bytes; null: both digests are not known yet")
    bucket = Whole("which reduce step settles it: a function of the key alone")
    byte_offset = Whole("in uncompressed bytes; null for Parquet")
    input = Whole("number of the input among the run's inputs")
    piece = Whole("number of the piece of input that was read in one go")
    record = Whole("names the record in its piece: row << 20 and a number, as rows of one page share a row")
    endpoint = Text("which API the call went to")
    data_residency = Text("OpenAI regional host")
    inference_geo = Text("Anthropic's inference_geo")
    speed = Text("Anthropic's speed")
    effort = Text("how much reasoning was asked for: a level, a budget or a switch; null: the model's own default")
    stated_rates = Text("what the log says each unit cost: fields of a cost map's entry, as JSON")
    line_model = Text("the model of this charge line")
    vars().update({f"line_{name}": Tokens(f"this line's share of {name}") for name in USAGE_COUNTS})
    line_units = Units("this line's share of billed_units")


class SpendMeasures(Schema):
    """What is summed in ``spend.*``, after the columns of ``--by``. A sum over nothing stated is null."""

    calls = CallCount("calls of the group")
    failed_calls = CallCount("calls whose status is failure")
    counted_calls = CallCount("calls with usage_source counted, partial or timed_out")
    unpriced_calls = CallCount("calls without a price")
    partly_priced_calls = CallCount("calls of which a part has no price")
    free_calls = CallCount("calls that cost nothing, and say so")
    logged_calls = CallCount("calls that carry a logged cost")
    prompt_tokens = Tokens("null: no call of the group states it")
    cache_read_input_tokens = Tokens("part of prompt_tokens")
    cache_creation_input_tokens = Tokens("part of prompt_tokens")
    completion_tokens = Tokens("including reasoning")
    reasoning_tokens = Tokens("part of completion_tokens")
    total_tokens = Tokens("prompt + completion")
    input_cost = Dollars("sum over what could be priced")
    output_cost = Dollars("sum over what could be priced")
    other_cost = Dollars("sum over what could be priced")
    total_cost = Dollars("sum over what could be priced")
    logged_cost = Dollars("sum of the costs found in the log")
    cache_hit_rate = Ratio("cache_read_input_tokens of prompt_tokens; null: not stated, or no prompt")
    cache_savings_cost = Dollars("what caching saved, less what writing to caches cost more")
    reasoning_cost = Dollars("part of output_cost")
    duplicate_cost = Dollars("part of total_cost: of each set of equal rows that nothing tells apart, all but one")


class Charges(Schema):
    """What a call was charged for one class of tokens: a row of ``charges`` in a query. They add up to total_cost."""

    call_id = Text("of the call")
    source_file = Text("of the call")
    source_row = Whole("of the call")
    started_at = Time("when the call was made (UTC); null: undated")
    provider = Text("who was asked")
    model = Text("of the charge line")
    user = Text("whose call it was")
    team = Text("who pays")
    project = Text("project or workspace")
    session = Text("conversation")
    service_tier = Text("as served, else as asked for")
    status = Text("success | failure | cache_hit")
    line = Whole("0 for the call itself, then one per further iteration")
    token_class = Text("input | cache_read | cache_write | output | reasoning | other")
    tokens = Whole("none of them of another class; null: not stated, or beside tokens")
    cost = Column("money", MONEY, "US dollars; null: unpriced")


class Comparison(Schema):
    """What two sets of calls differ by, after the columns of the groups: the parts add up to ``difference_cost``."""

    first_calls = CallCount("calls of the first set")
    second_calls = CallCount("calls of the second set")
    first_cost = Dollars("of those that have a price")
    second_cost = Dollars("of those that have a price")
    difference_cost = Dollars("second - first")
    volume_cost = Dollars("more or fewer calls")
    mix_cost = Dollars("other models and tiers, another share of caches")
    size_cost = Dollars("more or fewer tokens a call, and what is paid beside tokens")
    price_cost = Dollars("another cost of a token")
    new_cost = Dollars("groups of the second set alone")
    gone_cost = Dollars("groups of the first set alone")
    first_unpriced_calls = CallCount("calls of the first set without a price")
    second_unpriced_calls = CallCount("calls of the second set without a price")


class Alternatives(Schema):
    """What calls cost and would cost otherwise, after the columns of the groups and the reason why they stay."""

    calls = CallCount("calls of the group")
    changed_calls = CallCount("calls that would be otherwise")
    recounted_calls = CallCount("calls whose text was counted for another model")
    scaled_calls = CallCount("calls whose tokens, or some of them, are those that are stated times a measured ratio")
    old_cost = Dollars("of those that have a price")
    new_cost = Dollars("the same, otherwise; what stays has its old cost")
    old_tokens = Tokens("prompt + completion")
    new_tokens = Tokens("prompt + completion, otherwise")
    uncertain_tokens = Column("int", _WHOLE, "by how much new_tokens may be off", unit="thousandths of a token")


class WhatIf(Schema):
    """What calls cost, and what they would cost otherwise, after the columns of the groups."""

    calls = Alternatives.calls
    changed_calls = Alternatives.changed_calls
    recounted_calls = Alternatives.recounted_calls
    scaled_calls = Alternatives.scaled_calls
    kept_calls = CallCount("calls that cannot be otherwise and stay at their cost")
    old_cost = Alternatives.old_cost
    new_cost = Alternatives.new_cost
    saved_cost = Dollars("old - new")
    kept_cost = Dollars("part of both: of the calls that stay at their cost")
    old_tokens = Alternatives.old_tokens
    new_tokens = Alternatives.new_tokens
    token_error = Ratio("by what share new_tokens may be off; nine of ten calls are closer")
    kept = Column("kept", _structs({"reason": _TEXT, "calls": _WHOLE, "cost": MONEY}), "why calls stay")


class Rejects(Schema):
    """One record, or file, that could not become a call: a row of ``rejects.parquet``."""

    source_file = Text("the input")
    source_row = Whole("1-based in its container; null: the whole file")
    byte_offset = Whole("in uncompressed bytes; null for Parquet or a whole file")
    reason = Text("a slug of REJECT_REASONS")
    detail = Text("a field or a position, never content")


class ReconciledCell(Schema):
    """Where our costs are compared with a bill or the log. Null means all of them together: the bill says no more."""

    against = Text("bill | log")
    day = Date("UTC day, or the first day of the bill's period; null: undated")
    provider = Text("who is paid")
    model = Text("as the bill names it")
    token_class = Text("input | output | cache_read | cache_write_5m | ... | a server tool | credit | fee | unmapped")
    line_item = Text("the bill's own label, where the row is a line of its own")
    status = Text("final | open: the bill of that day may still change")
    currency = Text("of all amounts of the row")


class Reconciliation(ReconciledCell):
    """What lies between our costs and a bill (``against`` bill) or the log's costs (``against`` log), cell by cell."""

    computed_tokens = Amount("how much the logs have")
    billed_tokens = Amount("how much the bill has; null: it does not say")
    token_difference = Amount("billed - computed")
    computed_cost = Amount("what our calls cost; null: unpriced")
    billed_cost = Amount("what the bill asks; null: it does not say")
    logged_cost = Amount("what the log states")
    difference = Amount("billed or logged - computed")
    explained = Amount("of the difference, what has a cause")
    unexplained = Amount("of the difference, what has none")


class Causes(ReconciledCell):
    """Why a cell differs: causes add up to its difference."""

    cause = Text("one of the causes, by name")
    tokens = Amount("how many tokens it moves; 0: it is about money")
    amount = Amount("how much of the difference; null: the bill states no amounts")
    base = Amount("what the same tokens cost before it, where a price is another; null: it is not about prices")
    evidence = Text("what tells so")
    owner = Text("whose it is, by --by; unattributed: neither side tells; null: it was not asked")


class Adjustments(Schema):
    """What would change a closed day, summed by reason and cause: a row of ``adjustments.*``."""

    day = Date("in the report's time zone")
    reason = Text("late records | missing records | price correction | recount")
    calls = CallCount("that came, went or changed")
    old_cost = Dollars("of these calls when the day was closed")
    new_cost = Dollars("of these calls now")
    difference = Dollars("new - old")
    model = Text("of a price correction: name in the cost maps; null: nobody knows what says the new price")
    field = Text("of the cost map that was corrected; null: a newer version of the map says it, or prices of your own")
    source = Text("what says so: address or release")
    effective_from = Text("since when (ISO 8601, UTC)")


class RejectsOfPieces(Rejects):
    """Rejects between tasks."""

    piece = Whole("number of the piece of input")


class VerdictRows(Schema):
    """What is decided about one record that has a copy, or a call in or around it."""

    piece = Facts.piece
    record = Facts.record
    first_at = Time("earliest time of the copies")
    conflict = Switch("whether other calls with different requests share its id")
    copies = CallCount("records that are copies of it")
    repeated = Switch("whether another row equals it and nothing tells them apart")
    occurrence = Whole("from 1: the how many-th call of its key it is; null: it does not stay")
    cause = Text("why it does not stay; null: it stays")
