"""How a call is paid, in the words of those who log it: by use, by a plan of a month, with credits, or not at all.

Sources: Cursor's export of usage events (Kind); Codex' and Gemini CLI's events (auth_mode, auth_type:
openai/codex codex-rs/otel, gemini-cli AuthType); Qwen Code's AuthType; Hermes' usage_pricing.py (billing_mode).
"""

from __future__ import annotations

from typing import Any

from callcost.tables import NOT_CHARGED

API, PLAN, CREDITS = "api", "plan", "credits"
_FOLDED = str.maketrans("_ ", "--")
_WORDS = {  # how a word begins, in small letters, with hyphens for blanks -> how the call is paid
    "included": PLAN, "on-demand": API, "usage-based": API, "user-api-key": API,  # Cursor
    "chatgpt": PLAN, "apikey": API, "api-key": API,  # Codex
    "oauth-personal": PLAN, "gemini-api-key": API, "vertex-ai": API,  # Gemini CLI
    "qwen-oauth": PLAN, "openai": API, "anthropic": API,  # Qwen Code: a key of one's own with such an API
    "subscription": PLAN,  # Hermes
    API: API, PLAN: PLAN, CREDITS: CREDITS,  # and those of a mapping of the user's own
}  # fmt: skip
_NOT_CHARGED = ("no-charge", "not-charged")  # whatever stands before: "Errored, No Charge"


def read_billing(value: Any) -> str | None:
    """Return how a call is paid, or that nobody pays for it; None: the value does not say.

    Args:
        value: a word, or an amount of credits that were charged.

    >>> read_billing("Included in Pro"), read_billing("On-Demand"), read_billing(2.5), read_billing("Errored")
    ('plan', 'api', 'credits', None)
    >>> read_billing("Errored, Not Charged")
    'not_charged'
    """
    if type(value) in (int, float):
        return CREDITS if value > 0 else None
    if type(value) is not str:
        return None
    word = value.strip().lower().translate(_FOLDED).removeprefix("usage-event-kind-")
    if any(words in word for words in _NOT_CHARGED):
        return NOT_CHARGED
    return next((kind for start, kind in _WORDS.items() if word.startswith(start)), None)
