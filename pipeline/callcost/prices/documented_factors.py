"""What providers document as a multiple of another rate: it stands in where the cost map says nothing.

Dated facts with their sources. When one of them is taken is left to ``rates.py``; a model of which its provider's page
says nothing has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

_CLAUDE = "https://platform.claude.com/docs/en/"
_VERTEX = "https://docs.cloud.google.com/vertex-ai/generative-ai/docs/"
_SOURCES = {
    "caching": f"{_CLAUDE}build-with-claude/prompt-caching",
    "batches": f"{_CLAUDE}build-with-claude/batch-processing",
    "geo": f"{_CLAUDE}build-with-claude/data-residency",
    "endpoint": f"{_CLAUDE}about-claude/pricing",
    "openai": "https://platform.openai.com/docs/guides/batch",
    "flex": "https://developers.openai.com/api/docs/guides/flex-processing",
    "fireworks": "https://docs.fireworks.ai/guides/prompt-caching",
    "gemini": "https://ai.google.dev/gemini-api/docs/optimization",
    "implicit": "https://developers.googleblog.com/en/gemini-2-5-models-now-support-implicit-caching/",
    "vertex": f"{_VERTEX}context-cache/context-cache-overview",
    "vbatch": f"{_VERTEX}multimodal/batch-prediction-gemini",
}
_BEFORE_ALL = -(2**63)
# Whether the multiple of a tier holds for what caches hold: "-" so it does, "unstacked": they keep their standard rate.
_STACKED = {"-": True, "unstacked": False, "uncached": None}
_PATTERNS = {
    "*": None,
    # Claude's models whose writes and reads cost what the factors say: the page rounds those of Haiku 3, and reads of
    # models since Fable 5.1 cost less than a tenth
    "writes": re.compile(r"claude-(?!3-haiku)"),
    "reads": re.compile(r"claude-(?:3-(?!haiku)|(?:opus|sonnet|haiku)-4|(?:opus|sonnet|fable)-5(?![-.]?\d(?!\d)))"),
    # whose regional endpoints cost more
    "regional": re.compile(r"claude-(?:(?:opus|sonnet|haiku)-(?:4-[5-9]|[5-9])|fable|mythos)"),
    # that are offered as flex
    "flexible": re.compile(
        r"(?:^|/)(?:o3|o4-mini|gpt-[56](?:\.\d)?(?:-(?:mini|nano|sol|luna|terra|astra))?)(?:-20\d\d-\d\d-\d\d)?$"
    ),
    # Gemini's models of text, whose caches and flex are documented
    "text": re.compile(r"gemini-(?:2\.5|3(?:\.\d)?)-(?:pro|flash)(?!.*(?:tts|image|audio|live))"),
}


class Factor(NamedTuple):
    """What a provider documents.

    Attributes:
        provider: as cost maps spell it.
        gives: the unit, the tier ("batches", "flex") or the term ("endpoint", "entry us") that costs a multiple.
        times: the multiple.
        of: the unit whose rate is multiplied; "": the unit's own in the standard tier, or whatever it is.
        caches: of a tier: the multiple for what caches hold; None: not said.
        since: microseconds since 1970 UTC, inclusive.
        until: exclusive; None: still so.
        models: what the models' names in the cost map hold; None: all.
        source: who says so.
    """

    provider: str
    gives: str
    times: Decimal
    of: str
    caches: Decimal | None
    since: int
    until: int | None
    models: re.Pattern[str] | None
    source: str

    def holds(self, model: str, moment: int | None) -> bool:
        """Say whether it is documented for a model at a moment, microseconds since 1970 UTC; None: now."""
        if self.models is not None and not self.models.search(model):
            return False
        return self.until is None if moment is None else self.since <= moment < (self.until or moment + 1)

    def times_of(self, unit: str) -> Decimal | None:
        """Return the multiple for a unit in a tier; None: it is not said."""
        return self.caches if unit.startswith("cache_") else self.times


def _factors(text: str) -> Iterator[Factor]:
    for line in text.strip().splitlines():
        provider, gives, times, of, since, until, models, source = line.split()
        gives, _, term = gives.partition(":")
        yield Factor(
            provider=provider,
            gives=f"{gives} {term}".strip(),
            times=Decimal(times),
            of="" if of in _STACKED else of,
            caches=Decimal(times if _STACKED[of] else 1) if _STACKED.get(of) is not None else None,
            since=_BEFORE_ALL if since == "-" else _day(since),
            until=None if until == "-" else _day(until),
            models=_PATTERNS[models],
            source=_SOURCES[source],
        )


def _day(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


FACTORS = tuple(
    _factors("""
    anthropic                    cache_read      0.1   text_input   2024-08-14  -           reads     caching
    anthropic                    cache_write_5m  1.25  text_input   2024-08-14  -           writes    caching
    anthropic                    cache_write_1h  2     text_input   -           -           *         caching
    anthropic                    batches         0.5   -            2024-10-08  -           *         batches
    anthropic                    entry:us        1.1   -            2026-02-05  -           *         geo
    openai                       batches         0.5   -            2024-04-15  -           *         openai
    openai                       flex            0.5   -            2025-04-17  -           flexible  flex
    gemini                       batches         0.5   uncached     2025-07-07  -           *         gemini
    gemini                       flex            0.5   uncached     -           -           text      gemini
    gemini                       cache_read      0.25  text_input   2025-05-08  2025-10-16  text      implicit
    gemini                       cache_read      0.1   text_input   2025-11-07  -           text      gemini
    vertex_ai-language-models    batches         0.5   uncached     -           -           *         vbatch
    vertex_ai-language-models    batches         0.5   unstacked    2025-11-07  -           text      vbatch
    vertex_ai-language-models    cache_read      0.1   text_input   2025-11-07  -           text      vertex
    vertex_ai-anthropic_models   endpoint        1.1   -            2025-09-29  -           regional  endpoint
    fireworks_ai                 cache_read      0.5   text_input   -           -           *         fireworks
    """)
)
_BY_PROVIDER = {
    provider: tuple(each for each in FACTORS if each.provider == provider)
    for provider in {factor.provider for factor in FACTORS}
}
NOTHING: Mapping[str, Factor] = {}


def documented(provider: str, model: str = "", moment: int | None = None) -> Mapping[str, Factor]:
    """Return what a provider documents for a model at a moment, by what it gives.

    Args:
        provider: as cost maps spell it.
        model: its name in the cost map.
        moment: microseconds since 1970 UTC; None: now.
    """
    factors = _BY_PROVIDER.get(provider)
    return {each.gives: each for each in factors if each.holds(model, moment)} if factors else NOTHING


# When any provider began or ceased to document anything, microseconds since 1970 UTC.
MOMENTS = frozenset(moment for each in FACTORS for moment in (each.since, each.until) if moment) - {_BEFORE_ALL}
