"""What a mapping says beside where columns stand: what is no call, what earlier records tell, what is the same call."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from callcost.logs.record.dialect import CONTEXT, COUNTED_ELSEWHERE, Entry, Notes
from callcost.logs.tracing.attributes import span_name
from callcost.logs.tracing.conversations import body_of, messages_of
from callcost.logs.usage.arithmetic import READ, WRITTEN
from callcost.logs.values import json_path
from callcost.logs.values.json import Refusal
from callcost.logs.values.json_path import follow, follow_first
from callcost.logs.values.scalars import read_tags, read_text
from callcost.logs.values.signatures import Signature
from callcost.tables import SESSION_SUM, Call

_MONEY = re.compile(r"\$?(?:\d+|\d{1,3}(?:,\d{3})+)?(?:\.\d+)?", re.ASCII)
Paths = tuple[json_path.Path, ...]
Only = Mapping[Paths, tuple[str, ...]]  # paths -> patterns of the text at the first of them
_MOST = 100_000  # records whose names are kept at a time
EARLIER = "earlier"  # key of a record under which stands what records before it told


class Taken(msgspec.Struct, frozen=True):
    """What a kind of record tells of those after it in its file.

    Attributes:
        of: which records tell.
        names: name -> where it stands in these.
        by: paths of what names a record that tells, and of what names the one that it tells, which gets the names as
            keys of its own where it lacks them; (): it tells all.
        anew: whether nothing holds on that was told of all before it.
    """

    of: Signature
    names: Mapping[str, Paths]
    by: tuple[Paths, ...] = ()
    anew: bool = False


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of a mapping.

    Attributes:
        tags: name -> paths.
        messages: paths of the messages that were asked.
        answer: paths of the text that was answered.
        only: paths -> patterns; a record is a call where the text at one of these is like one of those.
        same: lists of paths; the first of which all hold something names the call, in place of an id.
        span: such lists, which name a call that others may be made inside of.
        parent: such lists, which name the span that a call was made inside of.
        nothing: key -> texts that say nothing there.
        provider: of records that name none.
        model: of records that name none.
        flags: of every call.
        sums: paths of which one holds something other than 1 where a record sums a session.
        traces: whether ``span`` and ``parent`` are ids of traces, which all exports of a trace share.
    """

    tags: Mapping[str, Paths] = msgspec.field(default_factory=dict)
    messages: Paths = ()
    answer: Paths = ()
    only: Only = msgspec.field(default_factory=dict)
    same: tuple[Paths, ...] = ()
    span: tuple[Paths, ...] = ()
    parent: tuple[Paths, ...] = ()
    nothing: Mapping[str, frozenset[str]] = msgspec.field(default_factory=dict)
    provider: str | None = None
    model: str | None = None
    flags: tuple[str, ...] = ()
    sums: Paths = ()
    traces: bool = False


def carry_earlier(notes: Notes, record: Mapping[str, Any], *, taken: tuple[Taken, ...]) -> dict[str, Any]:
    """Return a record with what those before it in its file told, which itself may tell something."""
    of_all, of_one = (notes.setdefault(name, {}) for name in ("of all", "of one"))  # records after it
    given: dict[str, Any] = {}
    for place, each in enumerate(taken):
        if each.by:
            by_name = of_one.setdefault(place, {})
            given |= by_name.get(_name_of(record, each.by[1:]), {})
            if each.of.matches(record) and (name := _name_of(record, each.by[:1])):
                by_name[name] = {key: follow_first(record, paths) for key, paths in each.names.items()}
                if len(by_name) > _MOST:
                    del by_name[next(iter(by_name))]
        elif each.of.matches(record):
            if each.anew:
                of_all.clear()
            texts = ((name, read_text(follow_first(record, paths))) for name, paths in each.names.items())
            of_all.update((name, text) for name, text in texts if text is not None)
    return given | dict(record) | {EARLIER: dict(of_all)}


def tidy(
    record: dict[str, Any], *, nothing: Mapping[str, Collection[str]], money: Collection[str]
) -> dict[str, Any]:
    """Return a record without the texts that say nothing, and with amounts as numbers are written."""

    def tidied(key: str, value: str) -> str | None:
        text = value.strip()
        if text in nothing.get(key, ()):
            return None
        return text.removeprefix("$").replace(",", "") if key in money and _MONEY.fullmatch(text) else value

    return {key: tidied(key, value) if type(value) is str else value for key, value in record.items()}


def parts_beside(record: Mapping[str, Any], *, always: tuple[str, ...], where: Only) -> Collection[str]:
    """Return the parts that stand beside their side in a record."""
    return (*always, READ, WRITTEN) if where and is_like(record, where) else always


def is_like(record: Mapping[str, Any], only: Only) -> bool:
    """Tell whether the text at each of some places is like one of its patterns; a place that has 0 comes last."""
    return all(
        any(fnmatchcase(_text_of(_first_said(record, places)), pattern) for pattern in patterns)
        for places, patterns in only.items()
    )


def _first_said(record: Mapping[str, Any], places: Paths) -> Any:
    stated = [value for value in (follow(record, place) for place in places) if value is not None]
    return next((value for value in stated if value is False or value != 0), stated[0] if stated else None)


def _text_of(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else read_text(value) or ""


def settle_rules(call: Call, entry: Entry, *, rules: Rules) -> None:
    """Fill what stands in single columns: tags by name, messages and the answer's text; set aside what is no call."""
    if not is_like(entry.record, rules.only):
        raise Refusal(CONTEXT if call.usage is None else COUNTED_ELSEWHERE)
    call.provider = call.provider or rules.provider
    call.model = call.model or rules.model or ""
    found = {tag: follow_first(entry.record, paths) for tag, paths in rules.tags.items()}
    call.tags = read_tags((call.tags or {}) | {tag: value for tag, value in found.items() if value is not None})
    asked, answered = follow_first(entry.record, rules.messages), follow_first(entry.record, rules.answer)
    if asked is not None:
        call.request = {"messages": messages_of(asked)}
        entry.distinct = call.request
    if type(answered) is str:
        call.response = body_of([answered])
    call.endpoint = call.endpoint or ("chat" if call.request or call.response else None)
    call.duplicate_id = _name_of(entry.record, rules.same) or call.duplicate_id
    call.span, call.parent = (_span_of(call, entry.record, places, rules) for places in (rules.span, rules.parent))
    call.flags.extend(rules.flags)
    if follow_first(entry.record, rules.sums) not in (None, 1):
        call.flags.append(SESSION_SUM)


def _span_of(call: Call, record: Mapping[str, Any], places: tuple[Paths, ...], rules: Rules) -> str | None:
    """Return what names a span; of a trace, the first path is the trace's, the second the span's own."""
    if rules.traces:
        return next((span_name(follow(record, own), follow(record, trace)) for trace, own in places), None)
    name = _name_of(record, places)
    return f"{call.family} {name}" if name else None


def _name_of(record: Mapping[str, Any], same: tuple[Paths, ...]) -> str | None:
    """Return what the first of several lists of paths says, if all of it is there."""
    for paths in same:
        texts = [read_text(follow(record, path)) for path in paths]
        if all(texts):
            return " ".join(text for text in texts if text)
    return None
