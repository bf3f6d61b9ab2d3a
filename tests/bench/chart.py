"""Write the chart of the ratios: bars of one run, on a logarithmic scale, each with its target. Plain SVG by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from tests.bench.cases import Ratio

WIDTH, ROW, LEFT, RIGHT, TOP = 860, 30, 400, 90, 46
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 } .faint { fill: #6e7781 }
.bar { fill: #2f6f9f } .target { stroke: #cf222e; stroke-width: 2 } .axis { stroke: #8c959f }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .faint { fill: #8b949e } .bar { fill: #6cb6ff } }
"""


def draw_chart(ratios: Sequence[Ratio], caption: str) -> str:
    """Return the chart as SVG.

    Args:
        ratios: those to draw, in order; percentages are drawn as shares of one.
        caption: one line that says where and how it was measured.
    """
    values = [_times(ratio, ratio.value) for ratio in ratios]
    targets = [_times(ratio, ratio.target) for ratio in ratios if ratio.target is not None]
    low = min(1.0, *values, *targets) / 1.5
    high = max(1.0, *values, *targets) * 1.2
    height = TOP + ROW * len(ratios) + 34

    def place(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(max(value, low) / low) / math.log(high / low)

    one = place(1.0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>Speed of callcost against its peers</title><style>{_STYLE}</style>",
        '<text class="title" x="8" y="22">Calls per second, times the peer\'s (logarithmic; red: the target)</text>',
    ]
    for number, (ratio, value) in enumerate(zip(ratios, values, strict=True)):
        y = TOP + ROW * number
        start, end = sorted((one, place(value)))
        parts += [
            f'<text x="{LEFT - 10}" y="{y + 16}" text-anchor="end">{escape(ratio.title)}</text>',
            f'<rect class="bar" x="{start:.1f}" y="{y + 3}" width="{max(end - start, 1):.1f}" height="{ROW - 12}"/>',
            f'<text x="{place(high) + 6:.1f}" y="{y + 16}">{_words(ratio)}</text>',
        ]
        if ratio.target is not None:
            x = place(_times(ratio, ratio.target))
            parts.append(f'<line class="target" x1="{x:.1f}" y1="{y}" x2="{x:.1f}" y2="{y + ROW - 6}"/>')
    base = TOP + ROW * len(ratios)
    parts += [
        f'<line class="axis" x1="{one:.1f}" y1="{TOP - 6}" x2="{one:.1f}" y2="{base}"/>',
        f'<text class="faint" x="8" y="{base + 22}">{escape(caption)}</text>',
        "</svg>\n",
    ]
    return "\n".join(parts)


def _times(ratio: Ratio, value: float) -> float:
    return value / 100 if ratio.unit == "%" else value


def _words(ratio: Ratio) -> str:
    return f"{ratio.value:.0f} %" if ratio.unit == "%" else f"{ratio.value:,.1f} x"
