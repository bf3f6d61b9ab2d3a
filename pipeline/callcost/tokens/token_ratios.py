"""How many tokens one family's counter makes of what another counted as one: measured on recorded calls.

Of a call that is known by its counts alone, nothing else tells what another model would count. A row is a pair of
vocabularies and a side: recorded calls of the first, their texts counted as the second counts them, over the
provider's own count; the median of calls of one half of the projects. The error is what nine of ten calls of the other
half kept, or, where that is more, nine of ten prompts that both providers counted (tests/bench/token_ratios.py measures
all of it: an error that leaves one project out holds for 96 % of that one's prompts); what is off by more than three
quarters has no row. Of two families with one vocabulary, prompts that both counted give the ratio, too. All is plain
text: what tools and schemas add to a prompt, up to some 500 tokens, is in no ratio and no error. To the error comes
that of the second family's counter itself (error_estimates.py). Between models of one family the counts stay.
"""

from __future__ import annotations

from typing import NamedTuple

from callcost.tokens.error_estimates import estimate_error
from callcost.tokens.model_families import Choice

MEASURED_ON = "2026-11-30"
MIN_CALLS = 15  # in either half; fewer do not make a ratio
SHORT = 100  # tokens of a prompt below which what frames it weighs much
SIDES = ("short_prompt", "prompt", "answer")
MOST_ERROR = 0.75
_TEMPLATES = frozenset({"gpt-oss"})  # framings that add some 65 tokens to any prompt, so that few are a multiple


class Ratio(NamedTuple):
    """Tokens of one family for a token of another, all in millionths.

    Attributes:
        calls: recorded calls that it was measured on; 0: it needs no measuring.
        ratio: tokens of the second family for a million of the first.
        error: relative, which nine of ten calls kept.
    """

    calls: int
    ratio: int
    error: int


_MILLION = 1_000_000
SAME = Ratio(0, _MILLION, 0)


def ratio_between(side: str, one: Choice, other: Choice) -> Ratio | None:
    """Return how many tokens of one model another counts; None: nobody has measured it.

    Args:
        side: one of SIDES.
        one: how the text of the first model is counted.
        other: how that of the second is.
    """
    if one.family == other.family:
        return SAME
    here, there = name_of(side, one), name_of(side, other)
    found, back = RATIOS.get((side, here, there)), RATIOS.get((side, there, here))
    if found is None and back is not None and side != SIDES[0]:
        found = _reversed(back)
    _, error = estimate_error(other, "chat", "answer.text" if side == SIDES[-1] else "plain")
    return found and found._replace(error=found.error + round(error * _MILLION))


def name_of(side: str, choice: Choice) -> str:
    """Return what the rows of a side call a model's counter: its vocabulary, or the template that outweighs it."""
    return choice.framing if choice.framing in _TEMPLATES and side != SIDES[-1] else choice.wanted


def _reversed(back: Ratio) -> Ratio:
    """Return a ratio the other way round: of texts that the second family's provider counted."""
    return Ratio(back.calls, _MILLION**2 // back.ratio, _MILLION * back.error // (_MILLION - back.error))


def _read_rows(text: str) -> dict[tuple[str, str, str], Ratio]:
    rows = (line.split() for line in text.strip().splitlines())
    return {
        (side, one, other): Ratio(int(calls), *(round(float(figure) * _MILLION) for figure in figures))
        for side, one, other, calls, *figures in rows
    }


# side, vocabulary of the recorded call, vocabulary that counts instead, calls, ratio, error
RATIOS = _read_rows("""
short_prompt cl100k_base claude3 279 1.000 0.143
prompt cl100k_base claude3 188 1.091 0.052
answer cl100k_base claude3 144 1.087 0.056
short_prompt cl100k_base claude5 279 1.250 0.208
prompt cl100k_base claude5 188 1.407 0.070
answer cl100k_base claude5 144 1.434 0.061
short_prompt cl100k_base deepseek 279 0.870 0.242
prompt cl100k_base deepseek 188 0.974 0.030
answer cl100k_base deepseek 144 1.010 0.006
prompt cl100k_base gemma2 188 1.014 0.050
answer cl100k_base gemma2 144 1.000 0.000
prompt cl100k_base gemma3 188 1.015 0.041
answer cl100k_base gemma3 144 1.000 0.000
prompt cl100k_base llama3 188 1.123 0.098
answer cl100k_base llama3 144 1.008 0.008
short_prompt cl100k_base nova 279 0.722 0.565
prompt cl100k_base nova 188 0.938 0.043
answer cl100k_base nova 144 1.003 0.022
short_prompt cl100k_base o200k_base 279 1.000 0.100
prompt cl100k_base o200k_base 188 0.995 0.028
answer cl100k_base o200k_base 144 1.000 0.031
short_prompt cl100k_base qwen3 279 1.030 0.124
prompt cl100k_base qwen3 188 1.015 0.013
answer cl100k_base qwen3 144 1.010 0.007
short_prompt cl100k_base tekken 279 0.909 0.515
prompt cl100k_base tekken 188 0.990 0.025
answer cl100k_base tekken 144 1.030 0.008
short_prompt claude3 cl100k_base 270 1.000 0.200
prompt claude3 cl100k_base 84 0.888 0.115
answer claude3 cl100k_base 244 0.890 0.082
short_prompt claude3 claude3 270 1.000 0.071
prompt claude3 claude3 84 1.000 0.051
answer claude3 claude3 244 1.001 0.042
short_prompt claude3 claude5 270 1.214 0.308
prompt claude3 claude5 84 1.231 0.101
answer claude3 claude5 244 1.305 0.069
short_prompt claude3 deepseek 270 0.809 0.191
prompt claude3 deepseek 84 0.875 0.131
answer claude3 deepseek 244 0.898 0.087
prompt claude3 gemma2 84 0.925 0.071
answer claude3 gemma2 244 0.932 0.073
prompt claude3 gemma3 84 0.931 0.066
answer claude3 gemma3 244 0.932 0.073
prompt claude3 llama3 84 1.012 0.081
answer claude3 llama3 244 0.892 0.081
short_prompt claude3 nova 270 0.562 0.312
prompt claude3 nova 84 0.825 0.161
answer claude3 nova 244 0.882 0.102
short_prompt claude3 o200k_base 270 1.000 0.200
prompt claude3 o200k_base 84 0.879 0.124
answer claude3 o200k_base 244 0.877 0.096
short_prompt claude3 qwen3 270 1.091 0.207
prompt claude3 qwen3 84 0.922 0.083
answer claude3 qwen3 244 0.903 0.073
short_prompt claude3 tekken 270 0.765 0.403
prompt claude3 tekken 84 0.899 0.113
answer claude3 tekken 244 0.922 0.068
short_prompt deepseek cl100k_base 64 1.250 0.375
short_prompt deepseek claude3 64 1.244 0.378
short_prompt deepseek claude5 64 1.419 0.290
short_prompt deepseek o200k_base 64 1.250 0.375
short_prompt deepseek qwen3 64 1.373 0.390
short_prompt deepseek tekken 64 0.908 0.514
short_prompt gemma2 cl100k_base 152 1.778 0.605
answer gemma2 cl100k_base 63 0.991 0.228
short_prompt gemma2 claude3 152 1.778 0.605
answer gemma2 claude3 63 1.088 0.104
short_prompt gemma2 claude5 152 2.111 0.578
answer gemma2 claude5 63 1.446 0.210
short_prompt gemma2 deepseek 152 1.437 0.724
answer gemma2 deepseek 63 1.000 0.222
answer gemma2 gemma3 63 1.021 0.051
answer gemma2 llama3 63 1.000 0.213
short_prompt gemma2 nova 152 1.000 0.067
answer gemma2 nova 63 0.988 0.199
short_prompt gemma2 o200k_base 152 1.778 0.644
answer gemma2 o200k_base 63 0.985 0.221
short_prompt gemma2 qwen3 152 1.889 0.679
answer gemma2 qwen3 63 1.000 0.126
answer gemma2 tekken 63 1.020 0.123
short_prompt gemma3 nova 119 0.793 0.239
short_prompt llama3 claude5 175 0.577 0.615
short_prompt o200k_base cl100k_base 229 1.000 0.125
prompt o200k_base cl100k_base 82 1.003 0.033
answer o200k_base cl100k_base 267 1.000 0.050
short_prompt o200k_base claude3 229 1.000 0.133
prompt o200k_base claude3 82 1.095 0.057
answer o200k_base claude3 267 1.111 0.048
short_prompt o200k_base claude5 229 1.179 0.694
prompt o200k_base claude5 82 1.439 0.076
answer o200k_base claude5 267 1.445 0.066
short_prompt o200k_base deepseek 229 0.781 0.258
prompt o200k_base deepseek 82 0.995 0.072
answer o200k_base deepseek 267 1.009 0.053
prompt o200k_base gemma2 82 1.007 0.171
answer o200k_base gemma2 267 1.025 0.182
prompt o200k_base gemma3 82 1.014 0.135
answer o200k_base gemma3 267 1.025 0.182
prompt o200k_base llama3 82 1.053 0.162
answer o200k_base llama3 267 1.001 0.049
prompt o200k_base nova 82 0.971 0.163
answer o200k_base nova 267 1.000 0.025
short_prompt o200k_base o200k_base 229 1.000 0.125
prompt o200k_base o200k_base 82 1.002 0.010
answer o200k_base o200k_base 267 1.011 0.027
short_prompt o200k_base qwen3 229 1.100 0.106
prompt o200k_base qwen3 82 1.015 0.079
answer o200k_base qwen3 267 1.009 0.197
short_prompt o200k_base tekken 229 0.756 0.496
prompt o200k_base tekken 82 1.001 0.086
answer o200k_base tekken 267 1.030 0.191
short_prompt qwen3 cl100k_base 155 0.933 0.120
answer qwen3 cl100k_base 81 1.000 0.014
short_prompt qwen3 claude3 155 0.909 0.188
answer qwen3 claude3 81 1.110 0.049
short_prompt qwen3 claude5 155 1.100 0.238
answer qwen3 claude5 81 1.460 0.085
short_prompt qwen3 deepseek 155 0.700 0.300
answer qwen3 deepseek 81 1.010 0.016
answer qwen3 gemma2 81 1.014 0.035
answer qwen3 gemma3 81 1.014 0.035
answer qwen3 llama3 81 1.000 0.018
short_prompt qwen3 nova 155 0.529 0.471
answer qwen3 nova 81 0.990 0.032
short_prompt qwen3 o200k_base 155 0.933 0.141
answer qwen3 o200k_base 81 0.989 0.031
short_prompt qwen3 tekken 155 0.706 0.529
answer qwen3 tekken 81 1.022 0.014
short_prompt tekken cl100k_base 87 1.333 0.607
answer tekken cl100k_base 30 0.980 0.090
short_prompt tekken claude3 87 1.280 0.638
answer tekken claude3 30 1.110 0.085
short_prompt tekken claude5 87 1.560 0.489
answer tekken claude5 30 1.470 0.094
short_prompt tekken deepseek 87 1.080 0.571
answer tekken deepseek 30 0.990 0.093
short_prompt tekken gemma2 87 0.739 0.630
answer tekken gemma2 30 0.990 0.051
answer tekken gemma3 30 0.990 0.051
answer tekken llama3 30 0.980 0.083
short_prompt tekken nova 87 0.739 0.249
answer tekken nova 30 0.980 0.093
short_prompt tekken o200k_base 87 1.333 0.649
answer tekken o200k_base 30 0.980 0.098
short_prompt tekken qwen3 87 1.417 0.548
answer tekken qwen3 30 0.980 0.052
""")
