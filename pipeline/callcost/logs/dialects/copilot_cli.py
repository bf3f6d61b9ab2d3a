"""GitHub Copilot CLI's sessions (~/.copilot/session-state/*/events.jsonl): events; a shutdown sums the session.

A shutdown states what each model used since the session was made, so that one after a resumption holds those before
it; a count that fell, or outputs of its messages that add up to it since the last shutdown alone, tell that it began
anew. Messages state their output only: what they add up to is a call under the name of the shutdown that is to come,
which is larger; a session that was left, killed or goes on has none, and nobody knows its input. A shutdown of one
model may state its counts in ``tokenDetails`` alone, cached tokens beside the input. The store beside these files
(copilot_store.toml) has every call, and so have sessions that a user of its SDK kept (``assistant.usage``); these count
in the sums' place. Sources: codeburn src/providers/copilot.ts; copilot-arewecooked pull 45; agentsview issue 1625,
copilot-cli issue 3994 (no shutdown); ai-driven-dev/framework issue 697 (tokenDetails); copilot-sdk issue 1516.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callcost.logs.record.billing import PLAN
from callcost.logs.record.dialect import CONTEXT, Dialect, Entry, Notes
from callcost.logs.record.envelopes import KEY, envelope
from callcost.logs.usage.unread import UNREAD
from callcost.logs.values.json import Refusal
from callcost.logs.values.json_path import follow
from callcost.logs.values.signatures import Signature, sign
from callcost.tables import INCOMPLETE, SESSION_SUM, Call

FAMILY = "copilot_cli"
_COUNTS = ("inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens", "reasoningTokens")
_TYPES = (
    "session.", "assistant.", "user.", "tool.", "system.", "subagent.", "hook.", "permission.", "skill.", "model.",
    "mcp.", "compaction", "abort", "external_tool.", "elicitation.", "command.", "exit_plan_mode.",
)  # fmt: skip
_OUTPUT = "outputTokens"
_DETAILS = dict(zip(("input", "output", "cache_read", "cache_write"), _COUNTS, strict=False))  # of a shutdown
NO_MODEL = "unknown"


def carry_copilot_cli(notes: Notes, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a model used since the shutdown before, as far as an event tells.

    Args:
        notes: "session", "project"; "outputs": model -> output of its messages, in all and since its last shutdown;
            "sums": model -> what the last shutdown stated; "shutdowns": ids of those so far.
        record: an event, or a model's part of a shutdown.

    Raises:
        Refusal: it says nothing of what was used.
    """
    if KEY in record:
        return _read_sum(notes, record)
    data = record.get("data")
    if type(data) is not dict:
        raise Refusal(CONTEXT)
    if record.get("type") in ("session.start", "session.resume"):
        named = {"session": data.get("sessionId"), "project": follow(data, ("context", "cwd"))}
        notes.update((name, text) for name, text in named.items() if type(text) is str)
    if record.get("type") == "session.shutdown" and type(data.get("tokenDetails")) is dict:
        return _read_sum(notes, _part_of(notes, record, data))
    output, model = data.get(_OUTPUT), data.get("model")
    if record.get("type") == "assistant.usage" and type(model) is str:
        own = {"usage": data, "call": data.get("apiCallId") or record.get("id"), "single": True}
        return _call_of(notes, record, model, 0) | own
    if record.get("type") != "assistant.message" or type(output) is not int or type(model) is not str:
        raise Refusal(CONTEXT)
    in_all, since = notes.setdefault("outputs", {}).get(model, (0, 0))
    notes["outputs"][model] = in_all + output, since + output
    used = {"usage": {_OUTPUT: since + output}, "flags": [INCOMPLETE]}
    return _call_of(notes, record, model, len(notes.get("shutdowns", ()))) | used


def _part_of(notes: Notes, record: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a shutdown that names no model as the part of the one that answered."""
    models = list(notes.get("outputs", ()))
    if len(models) > 1:
        raise Refusal(UNREAD, "data.tokenDetails of several models")
    given = {name: follow(data, ("tokenDetails", key, "tokenCount")) for key, name in _DETAILS.items()}
    usage = {name: count for name, count in given.items() if type(count) is int}
    usage["inputTokens"] = sum(count for name, count in usage.items() if name != _OUTPUT)
    model = models[0] if models else NO_MODEL
    paid = {"cost": data.get("totalPremiumRequests")}
    stated = {"event": record.get("id"), "timestamp": record.get("timestamp"), "usage": usage, "requests": paid}
    return {KEY: model} | stated


def _read_sum(notes: Notes, record: Mapping[str, Any]) -> dict[str, Any]:
    model, usage = record[KEY], record.get("usage")
    sums = {name: usage[name] for name in _COUNTS if type(usage.get(name)) is int} if type(usage) is dict else {}
    before = notes.setdefault("sums", {}).get(model, {})
    in_all, since = notes.setdefault("outputs", {}).pop(model, (0, 0))
    fell = any(count < before.get(name, 0) for name, count in sums.items())
    anew = fell or (0 < since == sums.get(_OUTPUT) != in_all)
    used = sums if anew else {name: count - before.get(name, 0) for name, count in sums.items()}
    notes["sums"][model], notes["outputs"][model] = sums, (0 if anew else in_all, 0)
    shutdowns, event = notes.setdefault("shutdowns", []), record.get("event")
    if event not in shutdowns:
        shutdowns.append(event)
    if sums and not any(used.values()):
        raise Refusal(CONTEXT)
    paid = {"billing": PLAN} if type(follow(record, ("requests", "cost"))) in (int, float) else {}  # premium requests
    return _call_of(notes, record, model, shutdowns.index(event)) | paid | {"usage": used or usage}


def _call_of(notes: Notes, record: Mapping[str, Any], model: str, shutdown: int) -> dict[str, Any]:
    call = {name: notes.get(name) for name in ("session", "project")}
    named = f"{call['session']} {shutdown} {model}" if call["session"] else None
    return call | {"model": model, "timestamp": record.get("timestamp"), "call": named}


def settle_copilot_cli(call: Call, entry: Entry) -> None:
    """Say that it is a sum, perhaps of outputs alone, and around what it lies; or in what a single call does."""
    named = f"{FAMILY} {call.session}" if call.session else None
    if entry.record.get("single"):
        call.parent = named
        return
    call.flags += [SESSION_SUM, *entry.record.get("flags", ())]
    call.span = named


DIALECTS = (
    Dialect(
        name=FAMILY,
        rank=24,
        signatures=(
            Signature(
                keys=frozenset(["id", "timestamp", "parentId"]),
                kinds=((("data",), (dict,)),),
                starts=((("type",), _TYPES),),
            ),
            sign("id timestamp", values={"type": "session.start session.shutdown"}, kinds={"data": "object"}),
            sign(f"{KEY} event usage"),
        ),
        envelopes=(
            envelope(
                "data.modelMetrics.*",
                sign("id timestamp", values={"type": "session.shutdown"}, kinds={"data.modelMetrics": "object"}),
                inherits="id:event timestamp",
            ),
        ),
        fields={name: (name,) for name in ("model", "session", "project", "billing")}
        | {"duplicate_id": ("call",), "started_at": ("timestamp",)},
        counts={
            "prompt_tokens": ("usage.inputTokens",),
            "completion_tokens": ("usage.outputTokens",),
            "cache_read_input_tokens": ("usage.cacheReadTokens",),
            "cache_creation_input_tokens": ("usage.cacheWriteTokens",),
            "reasoning_tokens": ("usage.reasoningTokens",),
        },
        carry=carry_copilot_cli,
        settle=settle_copilot_cli,
        repeats=True,
    ),
)
