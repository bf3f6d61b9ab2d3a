"""Where our price is not LiteLLM 1.106's, on purpose: each difference with its reason.

The tags S1-S12 are those that the recorded cases carry (`suspect`); the others are defects that no tag names. A note
says what holds of our answer wherever the two differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Case = Mapping[str, Any]
Answer = Mapping[str, float | str]  # {"prompt", "completion"} or {"total"} in dollars, or {"error"}


class Note(NamedTuple):
    """A difference that is meant.

    Attributes:
        why: what LiteLLM does, and what is right.
        holds: whether (case, our answer) is such a difference.
    """

    why: str
    holds: Callable[[Case, Answer], bool]


def dollars(answer: Answer) -> float:
    """Return what an answer sums to; nan for an error."""
    numbers = [value for value in answer.values() if isinstance(value, float | int)]
    return float(sum(numbers)) if numbers else float("nan")


def _refused(case: Case, ours: Answer) -> bool:
    return ours.get("error") == "PriceError"


def _unknown(case: Case, ours: Answer) -> bool:
    return ours.get("error") == "UnknownModelError"


def _less(case: Case, ours: Answer) -> bool:
    return dollars(ours) < dollars(case["expect"])


def _more(case: Case, ours: Answer) -> bool:
    return dollars(ours) > dollars(case["expect"])


def _never(case: Case, ours: Answer) -> bool:
    return False


def _as_its_tier(case: Case, ours: Answer) -> bool:
    """Say whether a dear tier costs more, and a cheap one less, than LiteLLM's standard rate."""
    tiers = {tag.removeprefix("tier:") for tag in case["tags"] if tag.startswith("tier:")}
    return _more(case, ours) if tiers & {"priority", "fast"} else _less(case, ours)


def _documented(case: Case, ours: Answer) -> bool:
    """Say whether a batch or a flex call costs less, as its provider documents where the map lacks the rate."""
    return _less(case, ours) and (bool({"tier:flex", "tier:batch"} & {*case["tags"]}) or case["form"] == "batch")


def _counts_searches(case: Case, ours: Answer) -> bool:
    usage = case["args"].get("response", {}).get("usage", {})
    return "server_tool_use" in usage or "web_search_requests" in usage.get("prompt_tokens_details", {})


def _zero_for_tokens(case: Case, ours: Answer) -> bool:
    args = case["args"]
    usage = args.get("usage") or args.get("response", {}).get("usage") or args
    tokens = any(usage.get(f"{side}_tokens") for side in ("prompt", "completion", "input", "output"))
    return dollars(case["expect"]) == 0 and tokens


def _name_is_nobodys(case: Case, ours: Answer) -> bool:
    made_up = {"name:cross", "name:dated"} & {*case["tags"]}
    return "error" in ours and "error" not in case["expect"] and bool(made_up)


def _name_is_known_here(case: Case, ours: Answer) -> bool:
    return "error" in case["expect"] and "error" not in ours


NOTES: Mapping[str, Note] = {
    "S1-exclusive-prompt-underbilled": Note(
        "cost_per_token documents an inclusive prompt_tokens; given an exclusive one it bills the uncached tokens at "
        "nothing. More cached tokens than the prompt has are refused, with the remedy.",
        _refused,
    ),
    "S2-custom-price-cache-twice": Note(
        "With rates of the caller's own and Anthropic's usage it adds the cached tokens to a prompt that holds them.",
        _less,
    ),
    "S3-silent-zero-unpriced": Note(
        "A model that resolves without any price costs 0.0 there, as a free one does. Here nothing prices it.", _unknown
    ),
    "S4-batch-tier-at-full-price": Note(
        "service_tier 'batch' pays the full price there, although the map has batch rates. Here it pays those.", _less
    ),
    "S5-tier-lost-above-threshold": Note(
        "Above a threshold the standard rate holds in every tier without a threshold rate of its own, so that 272,001 "
        "priority tokens cost less than 272,000. Here the threshold rate is scaled by tier to standard below it.",
        _as_its_tier,
    ),
    "S5b-tier-ignored-with-tiered-pricing": Note("Bands have no tiers in any map so far: equal today.", _never),
    "S6-perplexity-ignores-cache-rates": Note("56 models have cache rates that are never used there.", _less),
    "S6b-perplexity-ignores-thresholds": Note("16 models have threshold rates that are never used there.", _more),
    "S7-cached-exceeds-prompt": Note(
        "Usage with more cached tokens than the prompt has is billed below the prompt. Here they stand beside it: no "
        "part is larger than its whole, or are cut to it, and the call is flagged; flat arguments are refused.",
        lambda case, ours: _less(case, ours) or _more(case, ours) or _refused(case, ours) or _takes_too_much(case),
    ),
    "S7b-reasoning-exceeds-completion": Note(
        "The same on the output: reasoning is cut to the completion.",
        lambda case, ours: _less(case, ours) or _more(case, ours),  # what is left may be dearer than reasoning
    ),
    "S8-audio-priority-rate-dropped": Note("The map's priority rate of audio is dropped there.", _more),
    "S9-xai-modalities-as-text": Note("xAI has no rates of audio and image output so far: equal today.", _never),
    "S10-arn-loses-geo-profile": Note(
        "The ARN of a Bedrock inference profile loses its geography, and with it 10 %.", _more
    ),
    "S11-provider-calculator-ignores-tier": Note("47 Fireworks models have priority rates never used there.", _more),
    "S12-repeated-prefix": Note("`perplexity/perplexity/sonar` is a key of its own; an exact key wins.", _never),
    "searches": Note(
        "Searches of an answer given as a dict are billed as one, however many there were, also where there were none, "
        "and not at all for Claude on Vertex AI. Here each search is billed that the usage states.",
        _counts_searches,
    ),
    "zero": Note(
        "Tokens cost 0.0 there without an error: batches of models with bands and of AI21, and names of another "
        "provider that a family rule knows. Here they cost half of the band, or nothing prices them.",
        _zero_for_tokens,
    ),
    "documented": Note(
        "A batch or flex call without a rate of its own, or with caches that have none, pays the standard rate there. "
        "Here it pays half of it where the provider documents that (prices/documented_factors.py).",
        _documented,
    ),
    "names": Note(
        "Names that say one model are not resolved there: a path of Fireworks, a version of Vertex AI's or a profile "
        "of Bedrock's without a provider, and an OpenAI model on Bedrock's Mantle endpoint.",
        _name_is_known_here,
    ),
    "nobodys": Note(
        "A name with two geographies of Bedrock, or with a date that no model of its provider has, costs there what is "
        "left of it once these are cut off. Here no rule of spelling says so, and nothing prices it.",
        _name_is_nobodys,
    ),
}
UNTAGGED = ("searches", "zero", "documented", "names", "nobodys")


def _takes_too_much(case: Case) -> bool:
    """Say whether LiteLLM takes more from the prompt than there is: what is left in a batch is below nothing."""
    return bool(case["form"] == "batch")
