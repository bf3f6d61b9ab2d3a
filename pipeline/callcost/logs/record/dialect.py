"""The engine of all dialects: a field table and a record in, a ``Call`` out.

A ``Dialect`` is data: how to recognise a record, where each column stands, where usage, request and response are, and
what its counts, times and costs mean. What a table cannot say is one small function, ``settle``. Mapping files of the
user's own become the same ``Dialect``. What JSON is, is in values/json.py; what usage means, in usage/; what the
providers' bodies hold, in bodies.py.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, tzinfo
from decimal import Decimal
from typing import Any

import msgspec

from callcost.logs.record.billing import read_billing
from callcost.logs.record.call_status import status_of, was_under_way
from callcost.logs.record.envelopes import Envelope
from callcost.logs.record.media_calls import GATEWAY_FACTS, settle_gateway, settle_media
from callcost.logs.record.origin import ORIGIN
from callcost.logs.record.stated_usage import UsagePlaces, settle_zeros
from callcost.logs.record.stores import Store
from callcost.logs.record.summed_rows import AGGREGATE, refuse_sum, sum_of, tokens_of
from callcost.logs.responses import bodies
from callcost.logs.responses.bodies import ENDPOINTS, Api
from callcost.logs.responses.stream_joiners import CUT_OFF
from callcost.logs.responses.streams import join_body
from callcost.logs.usage.unread import UNREAD, known_keys, stated_tokens
from callcost.logs.usage.usage import add_usages, has_tokens, states_both_sides
from callcost.logs.values.api_urls import read_host
from callcost.logs.values.json import Refusal, decode_text, digest, digest_of_record
from callcost.logs.values.json_path import compile_table, follow, follow_first, parse_path, parse_paths, read_paths
from callcost.logs.values.scalars import read_cost, read_tags, read_text
from callcost.logs.values.signatures import Signature
from callcost.logs.values.times import read_time
from callcost.models import PROVISIONED, PROVISIONED_TIERS
from callcost.tables import ABORTED, EXACT, Call

TEXT_COLUMNS = (
    "own_id", "provider_response_id", "duplicate_id", "provider", "model", "model_requested", "model_group", "user",
    "end_user", "team", "api_key", "org", "project", "session", "branch", "service_tier", "region", "data_residency",
    "inference_geo", "speed", "effort", "host",
)  # fmt: skip
TIME_COLUMNS = ("started_at", "ended_at")
COST_COLUMN = "logged_cost"
URL_COLUMN = "url"
TICKS_COLUMN = "logged_ticks"  # xAI's unit of cost
USD_PER_TICK = Decimal("1e-10")
STATUS_COLUMNS = ("status", "error", "http_status", "cache_hit", "endpoint", "tags", "billing")
_TEXTS = frozenset(TEXT_COLUMNS)
COLUMNS = frozenset((*TEXT_COLUMNS, *TIME_COLUMNS, *STATUS_COLUMNS, URL_COLUMN, COST_COLUMN, TICKS_COLUMN))
# Texts of people and models: no field below these keys is about the row.
_BODIES = frozenset(("request", "response", "messages", "message", "body", "prompt", "input", "completion", "output"))
# Outcomes of recognised records that are no calls: one that states no tokens; one whose tokens other records state,
# too; one whose tokens nobody bills, as it only counts a text.
CONTEXT, COUNTED_ELSEWHERE, UNBILLED = "context", "counted_elsewhere", "unbilled"
BATCH_INPUT = "the input of a batch: give its output file"  # stages/read/batch_join.py takes it back where it was

Notes = dict[str, Any]  # what the records of a file so far leave to those after them


class Entry(msgspec.Struct):
    """A record while it is read.

    Attributes:
        record: the record, its JSON columns decoded.
        values: column -> the value as the record has it; also columns that only ``settle`` knows.
        request: the provider's request body, or what stands in its place.
        response: the provider's response body, joined if it was a stream.
        api: whose body the response is, if it is known.
        distinct: what tells this request from others with the same id; the request, unless settle says otherwise.
        cut_off: whether the response is a stream that broke off.
    """

    record: Mapping[str, Any]
    values: dict[str, Any]
    request: Any
    response: Any
    api: Api | None
    distinct: Any
    cut_off: bool = False


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """One way of writing logs, as data.

    Attributes:
        name: the name of the dialect, as calls have it in source_format.
        family: duplicates are sought among dialects of one family, the dialect's name if left out; say beside a family
            of several why their ids are comparable.
        signatures: a record that meets one of them is in this dialect.
        rank: dialects are asked in order of rank, the most specific first.
        envelopes: what several records of this dialect may be wrapped in.
        fields: column (COLUMNS, or one that settle reads) -> dotted paths, the first that is something wins.
        prepare: lays a record out anew where what it says stands in no field that a path could name.
        json_columns: columns that may hold JSON as text.
        usage: paths of a provider's usage object; "@" is the place where the response body's API has it, "#" that of
            ``counts`` among them, which else come last.
        counts: canonical count -> paths, beside usage objects.
        prompt: whether ``counts`` has cache "inclusive" or "exclusive" of the prompt, as its writer documents.
        beside: the parts in ``counts`` that stand beside their side, where a record tells its writer.
        total_decides: whether the total in ``counts`` tells what stands beside the sides; a sum of the sides alone
            may be a writer's own.
        request: paths of the request body.
        response: paths of the response body; "" is the record itself.
        endpoint: the API that every record comes from, where the dialect is one API's.
        provider: who answered every record of it, where that is one.
        zone: the time zone of times that name none.
        cost_scale: US dollars in one unit of logged_cost.
        unread_in: path of the object whose numbers are named where they look like usage and no table knows them, "" for
            the record itself; None: none is.
        noted: further keys of it whose numbers say nothing more.
        zero_is_missing: the writer puts 0 where it knows no counts.
        no_counts: a record may be the sum of many calls, where a count of them stands beside its tokens. Fields that
            are no such count although their names say so; None: no record is a sum.
        peculiar_ids: a regular expression; an id in which it is found says more than which call it is.
        alone: each record stands by itself, and what is looked at stands in these tables, ``texts`` and ``reads``:
            records may be read by columns.
        texts: path -> type of what stands there and is never read where usage is complete, beside bodies.
        reads: paths that ``prepare`` and ``settle`` look at beside those of the tables; "" stands for all.
        refusal: (reason, detail) where records of this kind never become calls; ("context", "") where they are none.
        carry: what a record takes from those before it in its file: (notes so far, record) -> what is read in its
            place. Such files are read from their beginning, in their order, and never cut.
        repeats: what records that are no calls state of tokens, others of the same log state, too.
        stores: databases that hold records of it.
        settle: what the table cannot say; text that it calls missing is left out of the call.
        asked: what ``settle`` says is distinct, of a record that is read by columns; None: the request.
        asks: first-level keys of which one holds something where that is anything; (): not known.
    """

    name: str
    family: str = ""
    signatures: tuple[Signature, ...] = ()
    rank: int = 50
    envelopes: tuple[Envelope, ...] = ()
    fields: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    prepare: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    json_columns: tuple[str, ...] = ()
    usage: tuple[str, ...] = ()
    counts: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    prompt: str = "inclusive"
    beside: Callable[[Mapping[str, Any]], Collection[str]] | None = None
    total_decides: bool = True
    request: tuple[str, ...] = ()
    response: tuple[str, ...] = ()
    endpoint: str | None = None
    provider: str | None = None
    zone: tzinfo = UTC
    cost_scale: Decimal = Decimal(1)
    unread_in: str | None = None
    noted: tuple[str, ...] = ()
    zero_is_missing: bool = False
    no_counts: frozenset[str] | None = None
    peculiar_ids: str | None = None
    alone: bool = False
    texts: Mapping[str, Any] = msgspec.field(default_factory=dict)
    reads: tuple[str, ...] = ()
    refusal: tuple[str, str] | None = None
    carry: Callable[[Notes, Mapping[str, Any]], dict[str, Any]] | None = None
    repeats: bool = False
    stores: tuple[Store, ...] = ()
    settle: Callable[[Call, Entry], None] | None = None
    asked: Callable[[Entry], Any] | None = None
    asks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "family", self.family or self.name)
        effort = (*self.fields.get("effort", ()), *bodies.effort_paths(self.request))
        msgspec.structs.force_setattr(self, "fields", {**self.fields, "effort": effort})


def like_named(names: str) -> dict[str, tuple[str, ...]]:
    """Return fields whose column is called as the record's own key, or as the body's fact ("@model")."""
    return {name.removeprefix("@"): (name,) for name in names.split()}


def refusing_dialect(
    name: str,
    detail: str,
    *signatures: Signature,
    reason: str = AGGREGATE,
    rank: int = 10,
    family: str = "",
    envelopes: tuple[Envelope, ...] = (),
    stores: tuple[Store, ...] = (),
) -> Dialect:
    """Return a dialect whose records never become calls.

    Args:
        name: its name, as in source_format.
        detail: what to give instead; "" where nothing is missing.
        signatures: a record that meets one of them is refused.
        reason: a slug of REJECT_REASONS, CONTEXT or UNBILLED.
        rank: place in the order in which dialects are asked; low, so that no other takes its records for calls.
        family: the family of the dialect, its name if left out.
        envelopes: what several records may be wrapped in.
        stores: databases that hold such records.
    """
    return Dialect(
        name=name, family=family, rank=rank, signatures=signatures, envelopes=envelopes, stores=stores,
        refusal=(reason, detail),
    )  # fmt: skip


class FieldReader:
    """A dialect with its paths taken apart, ready to read records."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.api = ENDPOINTS[dialect.endpoint] if dialect.endpoint else None
        self.is_body = self.api is not None and dialect.response == ("",)
        self.places = compile_table(_of_body(dialect.fields, self.api) if self.api and self.is_body else dialect.fields)
        self.request = parse_paths(dialect.request)
        self.response = parse_paths(dialect.response)
        self.endpoint = parse_paths(dialect.fields.get("endpoint", ()))
        counted = [parse_path(path) for paths in dialect.counts.values() for path in paths]
        counted += [path for path in parse_paths(dialect.usage) if len(path) == 1]
        self.usages = frozenset(path[0] for path in counted if path and path[0] != "@")
        self.bodies = _BODIES.union(path[0] for path in (*self.request, *self.response) if path)
        self.places_of_usage = UsagePlaces(dialect)
        self.noted = known_keys(parse_paths((*dialect.fields.get("rates", ()), *dialect.noted)))
        costs = [parse_path(path)[-1] for path in dialect.fields.get(COST_COLUMN, ()) if path]
        self.cost_keys = (*costs, *bodies.BODY_COST_KEYS)

    def recognises(self, record: Mapping[str, Any]) -> bool:
        """Tell whether a record is in this dialect."""
        return any(signature.matches(record) for signature in self.dialect.signatures)

    def read(self, record: dict[str, Any], data: bytes = b"", notes: Notes | None = None) -> Call:
        """Read one record.

        Args:
            record: the record.
            data: the bytes it was decoded from, for the exact text of its cost; b"": none.
            notes: of the records before it in its file, where the dialect carries any; changed in place.

        Raises:
            Refusal: the record cannot become a call, or is none (reason CONTEXT, COUNTED_ELSEWHERE or UNBILLED).
        """
        try:
            call = self._read(record, data, notes)
        except Refusal as refusal:
            stated = self.stated_tokens(record) if refusal.reason == CONTEXT else None
            if stated is None:
                raise
            if self.dialect.repeats:
                raise Refusal(COUNTED_ELSEWHERE) from None
            raise Refusal(UNREAD, f"{stated} of a record that is no known call of {self.dialect.name}") from None
        filled = ORIGIN in record  # by backfill, which states the usage there
        if call.usage is None and not call.unread_usage and not filled and (stated := self.stated_tokens(record)):
            call.unread_usage.append(stated)
            call.flags.append(UNREAD)
        return call

    def stated_tokens(self, record: dict[str, Any]) -> str | None:
        """Return the place of a count of tokens; by columns only what is read is looked at, so here, too."""
        deep = not self.dialect.alone or "" in self.dialect.reads
        shown = self.with_columns_decoded(record)
        held = [shown] if deep else [shown, *(follow(shown, path) for path in self.response)]
        if deep and self.dialect.prepare and self.dialect.unread_in == "":  # laid out, names are as tables have them
            held.append(self.dialect.prepare(shown))
        found = (stated_tokens(one, deep=deep, known=self.noted) for one in held if type(one) is dict)
        return next((place for place in found if place), None)

    def _read(self, record: dict[str, Any], data: bytes, notes: Notes | None) -> Call:
        if self.dialect.refusal:
            reason, detail = self.dialect.refusal
            raise sum_of(record, detail) if reason == AGGREGATE else Refusal(reason, detail)
        if self.dialect.carry:
            record = self.dialect.carry({} if notes is None else notes, record)
        entry = self.open(self.dialect.prepare(record) if self.dialect.prepare else record)
        call = self._call_of(entry, data)
        self._read_counts(call, entry)
        if self.dialect.no_counts is not None:
            shown = record if self.dialect.prepare else entry.record
            refuse_sum(shown, tokens_of(call), self.dialect.no_counts, self.usages, self.bodies)
        if self.dialect.settle:
            self.dialect.settle(call, entry)
        if not call.model:
            raise Refusal("no_model", "no field of the record names one")
        settle_media(call)
        settle_gateway(call, entry.values)
        _finish(call, entry)
        return call

    def with_columns_decoded(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return a record with what its JSON columns hold as text decoded."""
        texts = {name: record[name] for name in self.dialect.json_columns if type(record.get(name)) is str}
        return record | {name: decode_text(text) for name, text in texts.items()} if texts else record

    def open(self, record: dict[str, Any]) -> Entry:
        """Return what stands where the tables say; of a record that is prepared, where its dialect does that."""
        record = self.with_columns_decoded(record)
        response = join_body(follow_first(record, self.response))
        cut_off = type(response) is dict and bool(response.pop(CUT_OFF, False))
        request = decode_text(follow_first(record, self.request))
        named = bodies.endpoint_named(read_text(follow_first(record, self.endpoint))) if self.endpoint else None
        api = self.api or bodies.api_of(response) or (ENDPOINTS[named] if named else None)
        known = api is not None and type(response) is dict and not self.is_body
        facts = bodies.settle_facts(read_paths(response, bodies.FACTS[api.endpoint])) if api and known else {}
        values = bodies.settle_facts(read_paths(record, self.places, facts))
        values |= {name: facts[name] for name in GATEWAY_FACTS if name in facts}
        values["endpoint"] = named or (api.endpoint if api else None)
        return Entry(record, values, request, response, api, request, cut_off)

    def _call_of(self, entry: Entry, data: bytes) -> Call:
        values = entry.values
        columns: dict[str, Any] = {}
        for name, value in values.items():
            if name in _TEXTS:
                text = value if type(value) is str else read_text(value)
                if text is not None:
                    columns[name] = text
            elif name in TIME_COLUMNS:
                columns[name] = read_time(value, self.dialect.zone)
        if URL_COLUMN in values:
            columns = read_host(values[URL_COLUMN]) | columns
        if self.dialect.provider:
            columns["provider"] = self.dialect.provider
        elif entry.api and entry.api.issuers and "provider" not in columns:
            columns["provider"] = bodies.issuer_of(entry.api, values.get("provider_response_id"))
        call = Call(
            source_format=self.dialect.name,
            family=self.dialect.family,
            endpoint=values["endpoint"],
            status=status_of(values),
            tags=read_tags(values["tags"]) if "tags" in values else None,
            billing=read_billing(values["billing"]) if "billing" in values else None,
            request=entry.request,
            response=entry.response,
            **columns,
        )
        if call.started_at is None and "started_at" in values:
            call.flags.append("bad_time")
        try:
            call.logged_cost = self._read_cost(values, data)
        except Refusal:  # what the writer says it cost is no part of what it used
            call.flags.append("bad_logged_cost")
        return call

    def _read_cost(self, values: Mapping[str, Any], data: bytes) -> Decimal | None:
        if COST_COLUMN in values:
            cost = read_cost(values[COST_COLUMN], data, self.cost_keys)
            scale = self.dialect.cost_scale
            return cost if cost is None or scale == 1 else EXACT.multiply(cost, scale)
        ticks = read_cost(values[TICKS_COLUMN]) if TICKS_COLUMN in values else None
        return None if ticks is None else EXACT.multiply(ticks, USD_PER_TICK)

    def _read_counts(self, call: Call, entry: Entry) -> None:
        reading = self.places_of_usage.read(call, entry)
        call.usage, call.iterations, call.unread_usage = reading.usage, reading.iterations, reading.unread
        call.flags.extend(reading.flags | ({UNREAD} if reading.unread else set()))
        if call.usage is not None and has_tokens(call.usage):
            call.usage_source = "reported"
        elif call.status == "failure" and was_under_way(entry.values):
            call.flags.append(ABORTED)
        if entry.cut_off:
            call.flags.append(ABORTED)


def _of_body(fields: Mapping[str, tuple[str, ...]], api: Api) -> dict[str, tuple[str, ...]]:
    """Put the paths of a body's facts in the place of "@", for records that are bodies themselves."""
    return {
        column: tuple(
            place for path in paths for place in (api.facts.get(path[1:], ()) if path.startswith("@") else (path,))
        )
        for column, paths in fields.items()
    }


def _finish(call: Call, entry: Entry) -> None:
    """Set what the whole record decides: usage and text that are missing, flags, digests."""
    if call.usage_source == "reported":
        settle_zeros(call)
    if call.text_missing is not None:
        call.request = call.response = None
        if not states_both_sides(call.usage):
            call.flags.append(f"text_{call.text_missing}")
    elif not call.request and not call.response:
        call.text_missing = "no_text"
    if call.service_tier and call.service_tier.lower() in PROVISIONED_TIERS:
        call.flags.append(PROVISIONED)
    call.flags = sorted(set(call.flags))
    if entry.distinct:
        call.request_digest = digest(entry.distinct)
    call.record_digest = digest_of_record(entry.record)
    if call.iterations:
        call.usage = call.usage or add_usages(call.iterations)
