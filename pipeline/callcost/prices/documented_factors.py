"""What providers document as a share or a multiple of another rate: it stands in where the cost map says nothing.

Facts with their sources; when one of them is taken is left to ``rates.py``.
"""

from __future__ import annotations

from decimal import Decimal

HALF = Decimal("0.5")
# Who bills a batch at half of every rate, those of caches too:
# https://platform.claude.com/docs/en/build-with-claude/batch-processing, https://platform.openai.com/docs/guides/batch
BATCHES_AT_HALF = frozenset({"anthropic", "openai"})
# What costs more by the provider's word: (provider, term) -> (what it is, multiplier).
# https://platform.claude.com/docs/en/build-with-claude/data-residency (models before Opus 4.6 refuse the parameter)
TERM_FACTORS = {("anthropic", "us"): ("inference_geo us, as documented", Decimal("1.1"))}
# What a provider charges for a unit as a share of what stands in for it: (provider, unit) -> share.
# https://docs.fireworks.ai/guides/prompt-caching; Anthropic's reads cost 0.1, its writes 1.25 and 2 times the input:
# https://platform.claude.com/docs/en/build-with-claude/prompt-caching
SHARES = {
    ("fireworks_ai", "cache_read"): HALF,
    ("anthropic", "cache_read"): Decimal("0.1"),
    ("anthropic", "cache_write_5m"): Decimal("1.25"),
    ("anthropic", "cache_write_1h"): Decimal("1.6"),  # of what five minutes cost
}
