"""Which events of a Codex rollout are copies of another session's: a fork and a sub-agent may begin with these.

A file whose ``session_meta`` names a parent, or is followed at once by that of an older session, may begin with a copy
of that session's events, written with their own times or with that of the copying. What the file itself tells for sure
is used up here, in this order; times are those of the events' content, never how close they were written:

1. ``subagent_history_start_ordinal`` (``history_base.end_ordinal_exclusive``): events of lower ``ordinal`` are copies.
2. An event older than the session is a copy; what is not older after such is the session's own.
3. A turn that began before the session did (``task_started.started_at``; a ``turn_id`` of UUID version 7 that is
   smaller than the session's) is a copy, one that did not is the session's own, as is all that follows.

What is left may be a copy: such calls name the sessions that they may come from, and stages/dedup/replays.py looks
there. Where none of these is in any file, it is believed what the order of events suggests: a fork copies a turn at
least, and its own first turn starts after a longer pause than any between copies. Sources: agentsview pulls 657 and
1381, tokscale pulls 735 and 896 (turn ids, started_at), PokeTokenBar pull 137 (sub-agents that copy nothing), ccusage
pull 1457 (what is left where the parent is gone).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from callcost.logs.record.dialect import Notes
from callcost.logs.values.json_path import follow
from callcost.logs.values.times import read_time

_SECOND = 1_000_000  # microseconds: started_at counts seconds
_UUID_7 = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_TURN_STARTS = ("turn_context", "task_started")


def begin_session(notes: Notes, record: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
    """Note whose events follow: those of a session, or the copies of another's at its head.

    Args:
        notes: of the file; cleared where a session begins. "session"; "made" (time); "ancestors": sessions whose
            events may be copied, nearest first; "heads": those whose beginning was copied; "copied": whether the next
            event is believed to be a copy; "own": whether copies are over; "begun": whether there was a turn; "first":
            ordinal of the first event that is no copy.
        record: the event.
        payload: of the event.
    """
    named, stamp = payload.get("id"), read_time(record.get("timestamp"))
    session = named if type(named) is str else None
    made = read_time(payload.get("timestamp")) or stamp
    if session == notes.get("session") is not None:
        return
    parents = _parents(payload)
    if "session" in notes and not notes.get("begun") and session not in notes["heads"]:
        restamped = made is not None and notes["made"] is not None and made < notes["made"] <= (stamp or 0)
        if session in notes["ancestors"] or restamped:
            notes["heads"] = [*notes["heads"], session]
            notes["ancestors"] = list(dict.fromkeys([*notes["ancestors"], session, *parents]))
            notes["copied"] = True
            return
    notes.clear()
    notes |= {"session": session, "made": made, "ancestors": parents, "heads": [], "first": _first_ordinal(payload)}
    notes["copied"] = bool(parents) and not _is_subagent(payload)


def _parents(payload: Mapping[str, Any]) -> list[str]:
    spawned_by = follow(payload, ("source", "subagent", "thread_spawn", "parent_thread_id"))
    named = (payload.get("forked_from_id"), payload.get("parent_thread_id"), spawned_by)
    return list(dict.fromkeys(name for name in named if type(name) is str and name not in ("", payload.get("id"))))


def _is_subagent(payload: Mapping[str, Any]) -> bool:
    source = payload.get("source")
    return "subagent" in (source if type(source) is dict else (source, payload.get("thread_source")))


def _first_ordinal(payload: Mapping[str, Any]) -> int | None:
    stated = payload.get("subagent_history_start_ordinal")
    first = follow(payload, ("history_base", "end_ordinal_exclusive")) if stated is None else stated
    return first if type(first) is int else None


def follow_history(notes: Notes, record: Mapping[str, Any], payload: Mapping[str, Any]) -> None:
    """Note whether copies go on, as far as an event tells.

    Args:
        notes: see begin_session; beside these "stamp", "pause": time of the event before, longest pause so far;
            "kept": whether copies keep their times; "turn": whether that of a sure copy goes on; "dated": whether
            turns tell when they began; "called": whether the turn had a call; "older": whether this event is a copy.
        record: the event.
        payload: of the event.
    """
    if not notes.get("ancestors") or notes.get("own"):
        return
    stamp, before = read_time(record.get("timestamp")), notes.get("stamp")
    pause = 0 if stamp is None or before is None else stamp - before
    kind = payload.get("type") if record.get("type") == "event_msg" else record.get("type")
    notes["older"] = _is_older(notes, record, stamp)
    if notes["older"]:
        notes["begun"], notes["kept"] = notes.get("begun") or kind != "session_meta", True
    elif notes.get("own") or notes.get("kept"):
        notes["begun"] = notes["own"] = True  # of copies that keep their times none is younger
    elif kind in _TURN_STARTS:
        _start_turn(notes, payload, pause)
    elif kind == "token_count":
        notes["begun"] = notes["called"] = True
    notes["stamp"], notes["pause"] = stamp or before, max(pause, notes.get("pause", 0))


def _start_turn(notes: Notes, payload: Mapping[str, Any], pause: int) -> None:
    notes["begun"] = True
    own = _is_own_turn(notes, payload)
    if own is not None:
        notes["own"], notes["turn"], notes["dated"] = own, not own, True
    elif not notes.get("dated") and notes.get("called") and pause > notes.get("pause", 0):
        notes["copied"] = False
    notes["called"] = False


def _is_own_turn(notes: Notes, payload: Mapping[str, Any]) -> bool | None:
    """Tell whether a turn began in this session; None: it does not say when it began."""
    began = read_time(payload.get("started_at"))
    if began is not None and notes["made"] is not None:
        return bool(began >= notes["made"] - notes["made"] % _SECOND)
    ids = [_UUID_7.match(name) for name in (payload.get("turn_id"), notes["session"]) if type(name) is str]
    turn, session = (found.groups() if found else None for found in (ids if len(ids) == 2 else (None, None)))
    if turn is None or session is None:
        return None
    # a turn of the session's own millisecond tells only where others are older
    return bool(turn > session) if turn != session else notes.get("dated")


def _is_older(notes: Notes, record: Mapping[str, Any], stamp: int | None) -> bool:
    """Tell whether an event's place or time is before the session's own; a place that is not ends the copies."""
    ordinal = record.get("ordinal")
    first: int | None = notes["first"]
    made: int | None = notes["made"]
    if type(ordinal) is int and first is not None:
        notes["own"] = ordinal >= first
        return ordinal < first
    return stamp is not None and made is not None and stamp < made


def is_copied(notes: Notes) -> bool:
    """Tell whether the event that was followed last is a copy for sure."""
    if not notes.get("ancestors") or notes.get("own"):
        return False
    return bool(notes.get("turn") or notes.get("older"))


def lineage_of(notes: Notes) -> dict[str, Any]:
    """Return what a call says of where it may be copied from; nothing where it is the session's own."""
    if not notes.get("ancestors") or notes.get("own"):
        return {}
    return {"ancestors": notes["ancestors"], "forked_at": notes["made"], "replayed": notes["copied"]}
