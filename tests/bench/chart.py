"""Write the chart of the ratios: two panels of bars of one run, each bar with its target. Plain SVG by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape

from tests.bench.runs import Ratio

WIDTH, ROW, LEFT, RIGHT, HEAD, FOOT = 760, 26, 250, 90, 34, 30
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 } .faint { fill: #6e7781 } .bar { fill: #2f6f9f }
.target { stroke: #cf222e; stroke-width: 2 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .faint { fill: #8b949e } .bar { fill: #6cb6ff } }
"""


def draw_chart(ratios: Sequence[Ratio], caption: str) -> str:
    """Return the chart as SVG.

    Args:
        ratios: those to draw, in order; times go to the first panel, percentages to the second.
        caption: one line that says where and how it was measured.
    """
    times = [ratio for ratio in ratios if ratio.unit == "x"]
    shares = [ratio for ratio in ratios if ratio.unit == "%"]
    most = max((max(ratio.value, ratio.target or 1) for ratio in times), default=1.0)
    parts = list(_panel("Calls per second, times LiteLLM's (logarithmic; red: the target)", times, _logarithm(most), 0))
    height = _height(times)
    if shares:
        parts += _panel("Usage complete: share of the bare parser's speed", shares, lambda value: value / 100, height)
        height += _height(shares)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height + FOOT}" role="img">',
            f"<title>callcost against its peers</title><style>{_STYLE}</style>",
            *parts,
            f'<text class="faint" x="8" y="{height + FOOT - 10}">{escape(caption)}</text>',
            "</svg>\n",
        ]
    )


def _height(ratios: Sequence[Ratio]) -> int:
    return HEAD + ROW * len(ratios) + 6


def _logarithm(most: float) -> Callable[[float], float]:
    """Return what places a number of times, 1 at the left end and ``most`` at the right."""
    return lambda value: math.log(max(value, 1.0)) / math.log(max(most, 2.0))


def _panel(title: str, ratios: Sequence[Ratio], place: Callable[[float], float], top: int) -> Iterator[str]:
    room = WIDTH - LEFT - RIGHT
    yield f'<text class="title" x="8" y="{top + 22}">{escape(title)}</text>'
    for number, ratio in enumerate(ratios):
        y = top + HEAD + ROW * number
        length = max(room * min(place(ratio.value), 1.0), 1.0)
        yield f'<text x="{LEFT - 10}" y="{y + 15}" text-anchor="end">{escape(ratio.charted or ratio.title)}</text>'
        yield f'<rect class="bar" x="{LEFT}" y="{y + 3}" width="{length:.1f}" height="{ROW - 9}"/>'
        yield f'<text x="{WIDTH - RIGHT + 10}" y="{y + 15}">{_words(ratio)}</text>'
        if ratio.target is not None:
            x = LEFT + room * min(place(ratio.target), 1.0)
            yield f'<line class="target" x1="{x:.1f}" y1="{y}" x2="{x:.1f}" y2="{y + ROW - 3}"/>'


def _words(ratio: Ratio) -> str:
    return f"{ratio.value:.0f} %" if ratio.unit == "%" else f"{ratio.value:,.1f} x"
