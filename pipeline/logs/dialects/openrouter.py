"""OpenRouter's activity CSV: a generation a row, with what it cost in dollars. It is also a bill (bills/openrouter.py).

``generation_id`` is the response id of the logged body, so that a row and that body are one call (family "provider").
Cached tokens are inside the prompt count, reasoning inside the completion. ``cost_total`` is what OpenRouter charged:
its fee alone where the model was paid with a provider key of one's own.
"""

from __future__ import annotations

from pipeline.logs.fields import Dialect, Entry
from pipeline.logs.signatures import sign
from pipeline.tables import Call

ACTIVITY_KEYS = "generation_id created_at cost_total"
ACTIVITY = {
    "own_id": "generation_id",
    "started_at": "created_at",
    "logged_cost": "cost_total",
    "model": "model_permaslug",
    "api_key": "api_key_name",
}
ACTIVITY_COUNTS = {"prompt_tokens": "tokens_prompt", "completion_tokens": "tokens_completion"}
_VARIANTS = frozenset(("free", "extended", "thinking", "nitro", "floor", "beta", "exacto"))  # part of the model's name


def settle_activity(call: Call, entry: Entry) -> None:
    """Say whose call it is, and which variant of the model."""
    call.provider = "openrouter"
    variant = entry.values.get("variant")
    if call.model and variant in _VARIANTS and ":" not in call.model:
        call.model = f"{call.model}:{variant}"


DIALECTS = (
    Dialect(
        name="openrouter_activity_csv",
        family="provider",
        rank=30,
        signatures=(sign(ACTIVITY_KEYS),),
        fields={column: (name,) for column, name in ACTIVITY.items()}
        | {
            "provider_response_id": ("generation_id",),
            "duplicate_id": ("generation_id",),
            "user": ("user",),
            "variant": ("variant",),
        },
        counts={column: (name,) for column, name in ACTIVITY_COUNTS.items()}
        | {"reasoning_tokens": ("tokens_reasoning",), "cache_read_input_tokens": ("tokens_cached",)},
        settle=settle_activity,
    ),
)
