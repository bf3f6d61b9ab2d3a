"""Codex rollouts (~/.codex/sessions/**/rollout-*.jsonl): events of a session, each leaning on those before it.

A call is a ``token_usage_record`` by the id of its response, where a session has these (since 0.151). Before them it is
a ``token_count`` event whose sums moved since the last one of its limit: what it used is its ``last_token_usage``, or
the growth of the sums where none is there. An event that repeats the sums (new rate limits) is no call, nor is one that
only sums the context window up (after a compaction). Model and tier are those of the last ``turn_context`` or
``thread_settings_applied``. Sums only grow, so that session and sums name a call, in whatever file it stands again.

Limits name the plan of an account of ChatGPT (``plan_type``), which its calls are paid by from there on; those of a key
of the API name none.

A fork and a sub-agent may begin with their parent's history, which is no usage of theirs: codex_history.py tells.
Sources: ccusage's Codex adapter and its issues 1288, 1422 and 1460; openai/codex issue 47003 (what compactions use);
cc-switch pull 5854 (sums per limit).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callcost.logs.record.billing import PLAN
from callcost.logs.record.codex_history import begin_session, follow_history, is_copied, lineage_of
from callcost.logs.record.dialect import CONTEXT, Dialect, Entry, Notes, like_named, refusing_dialect
from callcost.logs.values.json import Refusal
from callcost.logs.values.json_path import follow
from callcost.logs.values.signatures import sign
from callcost.tables import Call

NO_MODEL = "unknown"  # of a call that no event names a model for: builds of September 2025
_SUMS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens", "total_tokens")
_COUNTS = (*_SUMS, "cache_write_input_tokens")
_COUNTED = tuple(name for name in _COUNTS if name != "total_tokens")  # which adds up others
_TIERS = {"fast": "priority", "default": None, "auto": None}  # as Codex asks the API for them
Counts = dict[str, Any]


def carry_codex(notes: Notes, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call with what the events before it say of it.

    Args:
        notes: "session", "model", "provider", "project", "branch", "service_tier", "billing"; "sums": limit -> sums so
            far; "counted": usage and sums of the last call; "records": whether calls are told by records; and what
            codex_history.py keeps.
        record: the event.

    Raises:
        Refusal: it is no call.
    """
    kind, payload = record.get("type"), record.get("payload")
    if type(payload) is not dict:
        raise Refusal(CONTEXT)
    if kind == "session_meta":
        begin_session(notes, record, payload)
        _note_session(notes, payload)
    follow_history(notes, record, payload)
    settings = payload.get("thread_settings") if payload.get("type") == "thread_settings_applied" else None
    if kind == "turn_context":
        _note(notes, model=payload.get("model"), project=payload.get("cwd"))
        _note_tier(notes, payload)
    elif kind == "event_msg" and type(settings) is dict:
        _note(notes, model=settings.get("model"))
        _note_tier(notes, settings)
    elif kind == "token_usage_record":
        return _read_record(notes, record, payload)
    elif kind == "event_msg" and payload.get("type") == "token_count":
        return _read_event(notes, record, payload)
    raise Refusal(CONTEXT)


def _note_session(notes: Notes, payload: Mapping[str, Any]) -> None:
    if notes.get("session") in (None, payload.get("id")):
        branch = follow(payload, ("git", "branch"))
        _note(notes, project=payload.get("cwd"), provider=payload.get("model_provider"), branch=branch)


def _note_tier(notes: Notes, settings: Mapping[str, Any]) -> None:
    if "service_tier" in settings:
        tier = settings["service_tier"]
        notes["service_tier"] = _TIERS.get(tier, tier) if _is_name(tier) else None


def _note(notes: Notes, **stated: Any) -> None:
    notes.update((name, value) for name, value in stated.items() if _is_name(value))


def _is_name(value: Any) -> bool:
    return type(value) is str and value != ""


def _read_record(notes: Notes, record: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return the call of one response; the event that tells of it, too, may stand on either side of the first."""
    first, notes["records"] = not notes.get("records"), True
    used, sums = _counts(payload.get("usage")), _counts(payload.get("thread_token_usage"))
    if not _is_used(used) or (first and notes.get("counted") == (_plain(used), _plain(sums))):
        raise Refusal(CONTEXT)
    session = next(filter(_is_name, (payload.get("thread_id"), notes.get("session"))), None)
    response = payload.get("response_id")
    call = _call_of(notes, record, payload, used) | {"session": session}
    return call | {"call": response if _is_name(response) else _name(session, sums), "response": response}


def _read_event(notes: Notes, record: Mapping[str, Any], payload: Mapping[str, Any]) -> dict[str, Any]:
    stated, named = payload.get("info"), follow(payload, ("rate_limits", "limit_id"))
    info = stated if type(stated) is dict else {"last_token_usage": payload}  # flat, as older events have it
    limit = named if type(named) is str else None
    sums, last = _counts(info.get("total_token_usage")), _counts(info.get("last_token_usage"))
    if follow(payload, ("rate_limits", "plan_type")) not in (None, "", "unknown"):
        notes["billing"] = PLAN
    known = notes.setdefault("sums", {})
    before, state = known.get(limit, {}), (sums, last)
    repeated = bool(sums) and (_is_unmoved(sums, before) or state == notes.get("state"))
    if sums:
        known[limit], notes["state"] = {name: before[name] for name in _COUNTED if name in before} | sums, state
    used = last or _growth(sums, before)
    if notes.get("records") or repeated or not _is_used(used) or is_copied(notes):
        raise Refusal(CONTEXT)
    notes["counted"] = _plain(used), _plain(sums)
    session = notes.get("session")
    return _call_of(notes, record, info, used) | {"call": _name(session, sums)} | lineage_of(notes)


def _call_of(notes: Notes, record: Mapping[str, Any], stating: Mapping[str, Any], used: Counts) -> dict[str, Any]:
    names = ("session", "provider", "project", "branch", "service_tier", "billing")
    payload = record["payload"]
    models = (stating.get("model"), payload.get("model"), notes.get("model"))
    call = {name: notes.get(name) for name in names} | {"timestamp": record.get("timestamp"), "usage": used}
    return call | {"model": next(filter(_is_name, models), NO_MODEL)}


def _counts(stated: Any) -> Counts:
    return {name: stated[name] for name in _COUNTS if stated.get(name) is not None} if type(stated) is dict else {}


def _plain(counts: Counts) -> tuple[Any, ...]:
    return tuple(counts.get(name) for name in _SUMS)


def _is_used(used: Counts) -> bool:
    """Tell whether a usage counts anything; a total alone is the size of the context."""
    return any(used.get(name) for name in _COUNTED)


def _name(session: str | None, sums: Counts) -> str | None:
    return " ".join([session, *map(str, _plain(sums))]) if session and sums else None


def _is_unmoved(sums: Counts, before: Counts) -> bool:
    """Tell whether sums are those of before; an event may leave a count out."""
    return bool(before) and all(before[name] == count for name, count in sums.items() if name in before)


def _growth(sums: Counts, before: Counts) -> Counts:
    """Return what one call used, where nothing but sums says so: all of them where they began anew."""
    pairs = {name: (sums[name], before.get(name, 0)) for name in sums if name in before or name in _COUNTED}
    if all(type(count) is type(then) is int and count >= then for count, then in pairs.values()):
        return {name: count - then for name, (count, then) in pairs.items()} if before else sums
    return sums


def settle_codex(call: Call, entry: Entry) -> None:
    """Say whose call this may be a copy of."""
    call.ancestors, call.forked_at = entry.record.get("ancestors"), entry.record.get("forked_at")
    call.replayed = entry.record.get("replayed")


DIALECTS = (
    Dialect(
        name="codex",
        rank=25,
        signatures=(
            sign(
                kinds={"payload": "object"},
                values={
                    "type": "session_meta turn_context event_msg response_item compacted token_usage_record world_state"
                    " inter_agent_communication inter_agent_communication_metadata"
                },
            ),
        ),
        fields=like_named("model provider session project branch service_tier billing")
        | {"duplicate_id": ("call",), "provider_response_id": ("response",), "started_at": ("timestamp",)},
        usage=("usage",),
        carry=carry_codex,
        settle=settle_codex,
        repeats=True,
    ),
    refusing_dialect(
        "codex_exec",
        "the sum of a turn, of no model: give the rollouts in ~/.codex/sessions",
        sign("usage", values={"type": "turn.completed"}),
        sign(values={"type": "event_msg", "payload.type": "turn.completed"}, kinds={"payload.usage": "object"}),
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
