"""Where a record states usage, and what all these places say together.

A record may state its usage in several places: a provider's usage object, a gateway's copy of it, counts of its own.
The first that states something is taken, the others fill what it leaves open, and where they differ the call is
flagged. Numbers that look like usage and stand in no table are named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from callcost.logs.record.media_calls import NOT_COUNTED, WITHOUT_ANSWER_TOKENS
from callcost.logs.responses import bodies
from callcost.logs.usage.arithmetic import AMBIGUOUS, INCONSISTENT, SIDES, settle_counts
from callcost.logs.usage.compiled_shapes import PARTS
from callcost.logs.usage.unit_quantities import join_units
from callcost.logs.usage.unread import is_usage_like, known_keys, unread_keys
from callcost.logs.usage.usage import (
    Reading,
    add_usages,
    is_zero,
    merge_readings,
    read_counts,
    read_usage,
    shape_of,
)
from callcost.logs.values.json import Refusal
from callcost.logs.values.json_path import Path, compile_table, follow, parse_path, parse_paths
from callcost.tables import Call, Usage

if TYPE_CHECKING:
    from callcost.logs.record.dialect import Dialect, Entry

# Where rows of people's own have a usage: names of LangChain, Langfuse, Semantic Kernel, Dify.
USAGE_PLACES = (
    "usage", "usage_details", "usageDetails", "token_usage", "tokenUsage", "usage_metadata", "usageMetadata", "tokens",
    "metadata.usage", "response_metadata.token_usage", "response_metadata.usage",
)  # fmt: skip
_ANSWERS = tuple(dict.fromkeys(key for api in bodies.APIS for key in api.texts))  # of a body, where text is
OWN_COUNTS = "#"  # among the paths of usage: here come the record's own counts, else last
_OF_BODY, _OWN_COUNTS = ("@", ""), (OWN_COUNTS,)


class UsagePlaces:
    """The places of a dialect, taken apart.

    Args:
        dialect: whose.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._usage = parse_paths(dialect.usage)
        self._counts = compile_table(dialect.counts)
        self._unread_in = None if dialect.unread_in is None else parse_path(dialect.unread_in)
        tables = (*dialect.fields.values(), *dialect.counts.values(), dialect.usage, dialect.request, dialect.response)
        paths = [parse_path(path) for table in tables for path in table if not path.startswith("@")]
        below = len(self._unread_in or ())
        self._known = known_keys((*(path[below:] for path in paths), *parse_paths(dialect.noted)))

    def read(self, call: Call, entry: Entry) -> Reading:
        """Return what a record states: its usage, and what tools of the provider used beside it.

        Raises:
            Refusal: a count cannot be read.
        """
        reading = self._first_usage(call, entry)
        units, runs = bodies.tools_of(entry.api, entry.response), bodies.runs_of(entry.api, entry.response)
        if units:
            usage = reading.usage = reading.usage or Usage()
            usage.billed_units = join_units(units, usage.billed_units or {})
        reading.flags |= runs.flags
        reading.unread += runs.unread
        if runs.iterations:
            own = reading.iterations or ([reading.usage] if reading.usage else [])
            reading.iterations = [*own, *runs.iterations]
            reading.usage = add_usages(reading.iterations)
        return reading

    def _first_usage(self, call: Call, entry: Entry) -> Reading:
        """Return the first usage that states something, with what the others add to it.

        Raises:
            Refusal: a count cannot be read.
        """
        found, read, model, zero = Reading(), list[Any](), call.model.lower(), False
        for place, body in self._bodies(entry):
            if body is not None and (type(body) is not dict or body in read):
                found.unread += [place] if place and type(body) is not dict else []  # text, as Python prints it
                continue
            read.append(body)
            try:
                if body is None:
                    reading = self._stated_in(entry, model)
                else:
                    scan = body is not entry.record
                    reading = read_usage(body, model, scan=scan, like=is_usage_like(place))
            except Refusal:
                if found.usage is None:
                    raise
                continue  # whatever it is, it is no second count of what is known
            if reading.usage is not None and self._is_blank(call, reading.usage):
                zero = True
                found.flags |= reading.flags
            elif reading.usage is not None:
                merge_readings(found, reading)
            else:
                found.unread += reading.unread
        if zero and found.usage is not None and any(getattr(found.usage, side) for side in SIDES):
            found.flags.add(AMBIGUOUS)
        found.unread = list(dict.fromkeys((*found.unread, *self._unread(entry.record))))
        return found

    def _bodies(self, entry: Entry) -> Iterator[tuple[str, Any]]:
        """Yield what may be usage objects, each with its name; None for the counts of the record itself."""
        for path in self._usage:
            if path == _OWN_COUNTS:
                yield "", None
            elif path != _OF_BODY:
                yield _name_of(path), follow(entry.record, path) or {}
            elif entry.response and type(entry.response) is dict:
                named = dict.fromkeys((entry.values["endpoint"], entry.api.endpoint if entry.api else None, None))
                for places in (bodies.USAGE_PATHS.get(name, bodies.ANY_USAGE) for name in named):
                    yield from ((_name_of(place), follow(entry.response, place) or {}) for place in places)
                if entry.api and entry.api.add_usage:
                    yield "", entry.api.add_usage(entry.response) or {}
        if _OWN_COUNTS not in self._usage:
            yield "", None

    def _stated_in(self, entry: Entry, model: str) -> Reading:
        """Read the counts of the record itself."""
        counts, flags = read_counts(entry.record, self._counts)
        if not counts:
            return Reading()
        own = self._dialect
        beside = own.beside(entry.record) if own.beside else ()
        usage, found = settle_counts(
            counts, prompt=own.prompt, model=model, beside=beside, total_decides=own.total_decides
        )
        return Reading(usage=usage, flags=flags | found)

    def _unread(self, record: Mapping[str, Any]) -> list[str]:
        where = None if self._unread_in is None else follow(record, self._unread_in)
        if type(where) is not dict:
            return []
        if "" not in self._dialect.usage:
            return unread_keys(where, self._known, deep=False, like=where is not record)
        shape = shape_of(record)
        known = shape.known if shape else {}
        parts = {key: record[key] for key in PARTS & record.keys() - self._known.keys() if type(record[key]) is dict}
        rest = {key: value for key, value in record.items() if key not in known and key not in parts}
        return unread_keys(rest, self._known, deep=False) + unread_keys(parts, known, like=True)

    def _is_blank(self, call: Call, usage: Usage) -> bool:
        return self._dialect.zero_is_missing and call.status != "cache_hit" and is_zero(usage)


def _name_of(path: Path) -> str:
    return path[-1] if path else ""


def settle_zeros(call: Call) -> None:
    """See what a stated 0 means, in place: nobody answers a text for nothing.

    Where all counts are 0 beside a text, none was known. A 0 of one side stays, and the call is flagged: a prompt of 0
    that was answered in tokens, an answer of 0 that has text.
    Source: https://github.com/MiXaiLL76/auto_ai_router/pull/142
    """
    usage = call.usage
    if usage is None or call.status == "cache_hit":
        return
    if is_zero(usage):
        if call.request or _has_answer(call):
            call.usage = call.usage_source = None
    elif call.endpoint not in NOT_COUNTED and 0 in (usage.prompt_tokens, usage.completion_tokens):
        is_unasked = usage.prompt_tokens == 0 and bool(usage.completion_tokens)
        is_unsaid = bool(usage.prompt_tokens) and call.endpoint not in WITHOUT_ANSWER_TOKENS and _has_answer(call)
        call.flags += [INCONSISTENT] if is_unasked or is_unsaid else []


def _has_answer(call: Call) -> bool:
    answers = [call.response.get(key) for key in _ANSWERS] if type(call.response) is dict else [call.response]
    return any(answers)
