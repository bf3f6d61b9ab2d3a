"""How many tokens one family's counter makes of what another counted as one: measured on recorded calls.

Of a call that is known by its counts alone, nothing else tells what another model would count. A row is a pair of
vocabularies and a side: recorded calls of the first, their texts counted as the second counts them, over the
provider's own count; the median of calls of one half of the projects. The error is what nine of ten calls of the other
half kept (tests/bench/token_ratios.py measures both); it is large where tools and what frames a prompt weigh more than
its text, and a pair of more than three quarters has no row. Between models of one family the counts stay.
"""

from __future__ import annotations

from typing import NamedTuple

from callcost.tokens.model_families import Choice

MEASURED_ON = "2026-11-30"
MIN_CALLS = 15  # in either half; fewer do not make a ratio
SHORT = 500  # tokens of a prompt below which what frames it weighs much
SIDES = ("short_prompt", "prompt", "answer")


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


SAME = Ratio(0, 1_000_000, 0)


def ratio_between(side: str, one: Choice, other: Choice) -> Ratio | None:
    """Return how many tokens of one model another counts; None: nobody has measured it.

    Args:
        side: one of SIDES.
        one: how the text of the first model is counted.
        other: how that of the second is.
    """
    if one.family == other.family:
        return SAME
    return RATIOS.get((side, one.wanted, other.wanted))


def _read_rows(text: str) -> dict[tuple[str, str, str], Ratio]:
    rows = (line.split() for line in text.strip().splitlines())
    return {
        (side, one, other): Ratio(int(calls), *(round(float(figure) * 1_000_000) for figure in figures))
        for side, one, other, calls, *figures in rows
    }


# side, vocabulary of the recorded call, vocabulary that counts instead, calls, ratio, error
RATIOS = _read_rows("""
short_prompt cl100k_base claude3 524 1.061 0.140
answer cl100k_base claude3 459 1.222 0.511
short_prompt cl100k_base claude5 524 1.375 0.375
answer cl100k_base claude5 459 1.600 0.467
short_prompt cl100k_base deepseek 524 1.000 0.375
answer cl100k_base deepseek 459 1.007 0.066
short_prompt cl100k_base gemma2 524 0.701 0.402
answer cl100k_base gemma2 459 1.000 0.094
short_prompt cl100k_base gemma3 524 0.992 0.442
answer cl100k_base gemma3 459 1.000 0.094
short_prompt cl100k_base o200k_base 524 1.000 0.059
answer cl100k_base o200k_base 459 1.000 0.107
short_prompt cl100k_base qwen3 524 1.057 0.119
answer cl100k_base qwen3 459 1.045 0.303
short_prompt cl100k_base tekken 524 1.000 0.281
answer cl100k_base tekken 459 1.042 0.218
short_prompt claude3 claude3 474 1.000 0.142
prompt claude3 claude3 692 0.691 0.285
answer claude3 claude3 1153 1.000 0.108
short_prompt claude3 claude5 474 1.214 0.161
prompt claude3 claude5 692 0.905 0.293
answer claude3 claude5 1153 1.217 0.186
short_prompt claude3 deepseek 474 0.788 0.200
prompt claude3 deepseek 692 0.571 0.366
answer claude3 deepseek 1153 0.769 0.538
short_prompt claude3 qwen3 474 1.000 0.444
prompt claude3 qwen3 692 0.551 0.392
answer claude3 qwen3 1153 0.810 0.645
short_prompt deepseek claude3 106 1.250 0.381
answer deepseek claude3 138 1.250 0.211
short_prompt deepseek claude5 106 1.420 0.287
answer deepseek claude5 138 1.592 0.393
short_prompt deepseek nova 106 0.704 0.479
answer deepseek nova 138 1.000 0.490
short_prompt deepseek qwen3 106 1.364 0.506
answer deepseek qwen3 138 1.046 0.410
short_prompt gemma2 cl100k_base 355 1.778 0.715
answer gemma2 cl100k_base 404 1.000 0.529
short_prompt gemma2 gemma3 355 1.252 0.530
answer gemma2 gemma3 404 1.000 0.417
short_prompt gemma2 tekken 355 1.500 0.625
answer gemma2 tekken 404 1.055 0.473
short_prompt gemma3 cl100k_base 281 1.053 0.722
answer gemma3 cl100k_base 369 1.000 0.347
short_prompt gemma3 gemma3 281 1.014 0.590
answer gemma3 gemma3 369 1.000 0.095
short_prompt gemma3 o200k_base 281 1.046 0.747
answer gemma3 o200k_base 369 1.000 0.360
short_prompt gemma3 tekken 281 1.231 0.651
answer gemma3 tekken 369 1.083 0.278
short_prompt llama3 tekken 229 0.418 0.707
answer llama3 tekken 1191 1.000 0.053
short_prompt o200k_base cl100k_base 950 1.007 0.128
prompt o200k_base cl100k_base 224 1.000 0.042
answer o200k_base cl100k_base 1159 1.000 0.111
prompt o200k_base claude3 224 1.098 0.513
answer o200k_base claude3 1159 1.227 0.601
prompt o200k_base claude5 224 1.446 0.371
answer o200k_base claude5 1159 1.562 0.535
prompt o200k_base deepseek 224 0.997 0.382
answer o200k_base deepseek 1159 1.000 0.515
short_prompt o200k_base llama3 950 2.156 0.736
prompt o200k_base llama3 224 1.022 0.408
answer o200k_base llama3 1159 1.000 0.250
prompt o200k_base nova 224 0.976 0.476
answer o200k_base nova 1159 1.000 0.250
short_prompt o200k_base o200k_base 950 1.000 0.556
prompt o200k_base o200k_base 224 1.010 0.134
answer o200k_base o200k_base 1159 1.091 0.143
short_prompt o200k_base qwen3 950 1.466 0.697
prompt o200k_base qwen3 224 1.006 0.409
answer o200k_base qwen3 1159 1.045 0.347
short_prompt o200k_base tekken 950 0.973 0.703
prompt o200k_base tekken 224 1.003 0.397
answer o200k_base tekken 1159 1.000 0.333
short_prompt qwen3 claude3 221 0.952 0.466
answer qwen3 claude3 294 1.250 0.432
short_prompt qwen3 claude5 221 1.167 0.300
answer qwen3 claude5 294 1.591 0.371
short_prompt qwen3 deepseek 221 0.765 0.294
answer qwen3 deepseek 294 1.000 0.333
short_prompt qwen3 nova 221 0.567 0.575
answer qwen3 nova 294 0.973 0.222
short_prompt qwen3 tekken 221 0.600 0.423
answer qwen3 tekken 294 1.000 0.595
short_prompt tekken claude5 231 1.833 0.742
answer tekken claude5 383 1.500 0.614
short_prompt tekken gemma3 231 0.667 0.282
answer tekken gemma3 383 0.917 0.528
short_prompt tekken llama3 231 2.261 0.605
answer tekken llama3 383 1.000 0.425
short_prompt tekken qwen3 231 1.833 0.694
answer tekken qwen3 383 1.000 0.478
""")
