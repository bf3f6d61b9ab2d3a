"""GitHub Copilot CLI's sessions (~/.copilot/session-state/*/events.jsonl): events; a shutdown sums the session.

A shutdown states what each model used since the session was made, so that one after a resumption holds those before
it; a count that fell, or outputs of its messages that add up to it since the last shutdown alone, tell that it began
anew. Messages state their output only, which the shutdown holds. The store beside these files (copilot_store.toml) has
every call, which count in the sums' place. Sources: codeburn src/providers/copilot.ts; copilot-arewecooked pull 45.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from callcost.logs.record.billing import PLAN
from callcost.logs.record.dialect import CONTEXT, Dialect, Entry, Notes
from callcost.logs.record.envelopes import KEY, envelope
from callcost.logs.values.json import Refusal
from callcost.logs.values.json_path import follow
from callcost.logs.values.signatures import Signature, sign
from callcost.tables import SESSION_SUM, Call

FAMILY = "copilot_cli"
_COUNTS = ("inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens", "reasoningTokens")
_TYPES = (
    "session.", "assistant.", "user.", "tool.", "system.", "subagent.", "hook.", "permission.", "skill.", "model.",
    "mcp.", "compaction", "abort", "external_tool.", "elicitation.", "command.", "exit_plan_mode.",
)  # fmt: skip
_OUTPUT = "outputTokens"


def carry_copilot_cli(notes: Notes, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a model used since the shutdown before.

    Args:
        notes: "session", "project"; "outputs": model -> output of its messages, in all and since its last shutdown;
            "sums": model -> what the last shutdown stated.
        record: an event, or a model's part of a shutdown.

    Raises:
        Refusal: it is no part of a shutdown.
    """
    if KEY not in record:
        _follow_event(notes, record)
        raise Refusal(CONTEXT)
    model, usage = record[KEY], record.get("usage")
    sums = {name: usage[name] for name in _COUNTS if type(usage.get(name)) is int} if type(usage) is dict else {}
    before = notes.setdefault("sums", {}).get(model, {})
    in_all, since = notes.setdefault("outputs", {}).pop(model, (0, 0))
    fell = any(count < before.get(name, 0) for name, count in sums.items())
    anew = fell or (0 < since == sums.get(_OUTPUT) != in_all)
    used = sums if anew else {name: count - before.get(name, 0) for name, count in sums.items()}
    notes["sums"][model], notes["outputs"][model] = sums, (0 if anew else in_all, 0)
    if sums and not any(used.values()):
        raise Refusal(CONTEXT)
    call = {name: notes.get(name) for name in ("session", "project")}
    named = " ".join(map(str, (call["session"], record.get("event"), model)))
    paid = {"billing": PLAN} if type(follow(record, ("requests", "cost"))) in (int, float) else {}  # premium requests
    return call | paid | {"model": model, "timestamp": record.get("timestamp"), "usage": used or usage, "call": named}


def _follow_event(notes: Notes, record: Mapping[str, Any]) -> None:
    data = record.get("data")
    if type(data) is not dict:
        return
    if record.get("type") in ("session.start", "session.resume"):
        named = {"session": data.get("sessionId"), "project": follow(data, ("context", "cwd"))}
        notes.update((name, text) for name, text in named.items() if type(text) is str)
    output, model = data.get(_OUTPUT), data.get("model")
    if record.get("type") == "assistant.message" and type(output) is int and type(model) is str:
        in_all, since = notes.setdefault("outputs", {}).get(model, (0, 0))
        notes["outputs"][model] = in_all + output, since + output


def settle_copilot_cli(call: Call, entry: Entry) -> None:
    """Say that it is a sum, and around what it lies."""
    call.flags.append(SESSION_SUM)
    call.span = f"{FAMILY} {call.session}" if call.session else None


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
