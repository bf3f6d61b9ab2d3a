"""Codex rollouts (~/.codex/sessions/**/rollout-*.jsonl): events of a session, each leaning on those before it.

A call is a ``token_count`` event with its counts so far; what it used is the difference to the event before it, or
its own ``last_token_usage`` where none is there or the sums began anew. An event that repeats the sums (new rate
limits) is no call, nor is one that only sums the context window up (after a compaction). The model is that of the last
``turn_context``; where none names one, nobody knows it. A fork and a sub-agent begin with a replay of their parent's
events, written within a second of their own start: the parent's file has these calls. Sums only grow, so that session
and sums name a call, in whatever file it stands again. Source: ccusage's Codex adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callcost.logs.record.dialect import CONTEXT, Dialect, Notes, like_named, refusing_dialect
from callcost.logs.values.json import Refusal
from callcost.logs.values.signatures import sign
from callcost.logs.values.times import read_time

_REPLAY_MICROSECONDS = 1_000_000
_COUNTS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens", "total_tokens")
Counts = dict[str, Any]


def carry_codex(notes: Notes, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call with what the events before it say of it.

    Args:
        notes: "session", "model", "provider", "project", "sums", "start", and "replays": whether it begins with its
            parent's events.
        record: the event.

    Raises:
        Refusal: it is no call.
    """
    kind, payload = record.get("type"), record.get("payload")
    if type(payload) is not dict:
        raise Refusal(CONTEXT)
    if kind == "session_meta":
        _begin_session(notes, payload, read_time(record.get("timestamp")))
    elif kind == "turn_context":
        _note(notes, model=payload.get("model"), project=payload.get("cwd"))
    elif kind == "event_msg" and payload.get("type") == "token_count" and type(payload.get("info")) is dict:
        return _read_event(notes, record, payload)
    raise Refusal(CONTEXT)


def _begin_session(notes: Notes, payload: Mapping[str, Any], moment: int | None) -> None:
    """Note whose events follow; another's beginning at once is the parent's, in a replay."""
    another = payload.get("id") != notes.get("session")
    if another and _is_early(notes, moment) and (notes["replays"] or "sums" not in notes):
        notes["replays"] = True
        return
    notes.clear()
    _note(notes, session=payload.get("id"), project=payload.get("cwd"), provider=payload.get("model_provider"))
    source = payload.get("source")
    notes["start"] = moment
    notes["replays"] = bool(payload.get("forked_from_id")) or (type(source) is dict and "subagent" in source)


def _is_early(notes: Notes, moment: int | None) -> bool:
    start = notes.get("start")
    return moment is not None and start is not None and 0 <= moment - start < _REPLAY_MICROSECONDS


def _note(notes: Notes, **stated: Any) -> None:
    notes.update((name, value) for name, value in stated.items() if _is_name(value))


def _is_name(value: Any) -> bool:
    return type(value) is str and value != ""


def _read_event(notes: Notes, record: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
    info, before = payload["info"], notes.get("sums")
    sums, last = _counts(info.get("total_token_usage")), _counts(info.get("last_token_usage"))
    if sums:
        notes["sums"] = sums
    used = _used(sums, last, before)
    replayed = notes.get("replays") and _is_early(notes, read_time(record.get("timestamp")))
    repeated = bool(sums) and sums == before
    if repeated or replayed or not any(used.get(name) for name in _COUNTS[:-1]):
        raise Refusal(CONTEXT)
    session = notes.get("session")
    return {
        "timestamp": record.get("timestamp"),
        "session": session,
        "call": " ".join([session, *(str(sums.get(name)) for name in _COUNTS)]) if session and sums else None,
        "model": next(filter(_is_name, (info.get("model"), payload.get("model"), notes.get("model"))), None),
        "provider": notes.get("provider"),
        "project": notes.get("project"),
        "usage": used,
    }


def _counts(stated: Any) -> Counts:
    return {name: stated[name] for name in _COUNTS if stated.get(name) is not None} if type(stated) is dict else {}


def _used(sums: Counts, last: Counts, before: Counts | None) -> Counts:
    """Return what one call used: the growth of the sums, where it is known and no sum shrank."""
    if sums and before and sums.keys() == before.keys():
        pairs = {name: (count, before[name]) for name, count in sums.items()}
        if all(type(count) is type(then) is int and count >= then for count, then in pairs.values()):
            return {name: count - then for name, (count, then) in pairs.items()}
    return last or sums


DIALECTS = (
    Dialect(
        name="codex",
        rank=25,
        signatures=(
            sign(
                kinds={"payload": "object"},
                values={"type": "session_meta turn_context event_msg response_item compacted"},
            ),
        ),
        fields=like_named("model provider session project") | {"duplicate_id": ("call",), "started_at": ("timestamp",)},
        usage=("usage",),
        carry=carry_codex,
    ),
    refusing_dialect(
        "codex_exec",
        "the sum of a turn, of no model: give the rollouts in ~/.codex/sessions",
        sign("usage", values={"type": "turn.completed"}),
    ),
    refusing_dialect(
        "codex_exec_event",
        "",
        sign("thread_id", values={"type": "thread.started"}),
        sign(values={"type": "turn.started turn.failed"}),
        sign("item", values={"type": "item.started item.updated item.completed"}),
        sign("session_id ts text", kinds={"ts": "number"}),  # ~/.codex/history.jsonl
        family="codex_exec",
        reason=CONTEXT,
    ),
)
