"""OpenRouter: its activity CSV, which is also a bill (bills/openrouter.py), and what it says of one generation.

Ids are the response ids of the logged bodies, so that all three are one call (family "provider"). Cached tokens are
inside the prompt count, reasoning inside the completion; native counts are the model's own and what is billed, plain
ones beside them are counted with one tokenizer for all models. Costs are US dollars that OpenRouter charged; of a
generation that was paid with a provider key of one's own, what the provider charged; OpenRouter's fee is apart.
"""

from __future__ import annotations

from callcost.logs.record.dialect import Dialect, Entry, like_named
from callcost.logs.record.envelopes import envelope
from callcost.logs.values.json import Refusal
from callcost.logs.values.scalars import read_cost, read_text
from callcost.logs.values.signatures import sign
from callcost.tables import Call

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
    """Say which variant of the model it is, and what was paid with a key of one's own: 0 where none was."""
    try:
        paid = read_cost(entry.values.get("own_key_cost"))
    except Refusal:
        paid = None
        call.flags.append("bad_logged_cost")
    if paid:
        entry.values.update(own_key=True, gateway_fee=call.logged_cost)
        call.logged_cost = paid
    variant = read_text(entry.values.get("variant"))
    if call.model and variant in _VARIANTS and ":" not in call.model:
        call.model = f"{call.model}:{variant}"


def settle_generation(call: Call, entry: Entry) -> None:
    """Say that counts are estimates where the model's own are missing."""
    if entry.record.get("native_tokens_prompt") is None and call.usage is not None:
        call.usage_source = "estimated_upstream"


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
            "own_key_cost": ("byok_usage_inference",),
        }
        | like_named("user variant"),
        counts={column: (name,) for column, name in ACTIVITY_COUNTS.items()}
        | {"reasoning_tokens": ("tokens_reasoning",), "cache_read_input_tokens": ("tokens_cached",)},
        provider="openrouter",
        settle=settle_activity,
    ),
    Dialect(
        name="openrouter_generation",
        family="provider",
        rank=20,
        envelopes=(envelope("data", sign(kinds={"data.tokens_prompt": "number", "data.id": "text"})),),
        signatures=(sign("id tokens_prompt native_tokens_prompt"), sign("id tokens_prompt total_cost model")),
        fields={
            "provider_response_id": ("id",),
            "duplicate_id": ("id",),
            "started_at": ("created_at",),
            "user": ("external_user",),
            "endpoint": ("api_type",),
            "logged_cost": ("total_cost", "usage"),
            "own_key": ("is_byok",),
            "upstream_cost": ("upstream_inference_cost",),
        }
        | like_named("model service_tier"),
        counts={
            "prompt_tokens": ("native_tokens_prompt",),
            "completion_tokens": ("native_tokens_completion",),
            "other_prompt_tokens": ("tokens_prompt",),
            "other_completion_tokens": ("tokens_completion",),
            "reasoning_tokens": ("native_tokens_reasoning",),
            "cache_read_input_tokens": ("native_tokens_cached",),
            "image_output_tokens": ("native_tokens_completion_images",),
        },
        provider="openrouter",
        unread_in="",
        noted=("usage_cache", "usage_data", "usage_upstream", "usage_web", "usage_file"),
        endpoint="chat",
        settle=settle_generation,
    ),
)
