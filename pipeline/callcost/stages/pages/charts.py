"""Charts as SVG: bars stacked by period, small bars in a row of a table, a map of the hours of a week.

Bars stretch with the page, text does not: bars lie in an inner SVG with a scale of its own, text stands at shares of
the width. Nothing is drawn by script, and what a chart shows stands in a table beside it. Coordinates are whole
numbers, so that a page of many charts stays small; they are made of the only floats, and no printed figure is.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import accumulate

from callcost.stages.pages.figures import Figure, scale_figures
from callcost.stages.pages.kit import Markup, element

LEVELS = 6  # shades of a map
_SLOT, _TALL = 10, 1000  # of the inner scale: width of a period, height of the whole
_TICKS = 4  # lines above the lowest
_TOP, _PLOT = 8, 208  # of a chart, in pixels: place above the uppermost line, height of the bars
_STEPS = tuple(Decimal(mantissa) for mantissa in ("1", "1.5", "2", "2.5", "3", "4", "5", "7.5", "10"))
_MOST_LABELS = 4  # below a chart: they have room on a phone


def stacked_bars(
    series: Sequence[Sequence[Figure]], colors: Sequence[int], labels: Sequence[str], *, words: str,
    currency: str | None,
) -> Markup:  # fmt: skip
    """Draw bars, one a period, of series that lie on each other.

    Args:
        series: of each, the lowest first, its figure in each period; none and what is below 0 is not drawn.
        colors: number of each series' color.
        labels: names of the periods.
        words: what the chart shows, for those who do not see it.
        currency: code, where figures are amounts.
    """
    heights = [[max(float(figure or 0), 0.0) for figure in row] for row in series]
    highest = max((sum(column) for column in zip(*heights, strict=True)), default=0.0)
    top = _round_top(highest, whole=currency is None)
    scale = _TALL / float(top)
    edges = [list(accumulate((row[n] * scale for row in heights), initial=0.0)) for n in range(len(labels))]
    bars = [
        element("path", class_=f"c{color}", d=_segments([(column[place], column[place + 1]) for column in edges]))
        for place, color in enumerate(colors)
    ]
    inner = element(
        "svg", bars, class_=_width_class(len(labels)), viewBox=f"0 0 {_SLOT * max(len(labels), 1)} {_TALL}", y=_TOP,
        width="100%", height=_PLOT, preserveAspectRatio="none",
    )  # fmt: skip
    return element(
        "svg", _grid(top, currency), inner, _labels(labels), class_="bars", role="img", aria_label=words,
        width="100%", height=_TOP + _PLOT + 24,
    )  # fmt: skip


def _segments(spans: Sequence[tuple[float, float]]) -> str:
    """Return a path of upright lines, one a period: from, to, above the ground."""
    parts = []
    for n, (low, high) in enumerate(spans):
        below, above = round(_TALL - low), round(_TALL - high)
        if high > low:
            parts.append(f"M{n * _SLOT + _SLOT // 2} {below}V{min(above, below - 1)}")
    return "".join(parts)


def _width_class(periods: int) -> str:
    return "few" if periods < 8 else "some" if periods < 20 else "many"


def _round_top(highest: float, *, whole: bool) -> Decimal:
    """Return the upper end of a scale: a round number of which each line of the grid is one too."""
    least = Decimal(highest) / _TICKS
    if least <= 0:
        return Decimal(_TICKS)
    exponent = least.adjusted()
    step = next(step.scaleb(exponent) for step in _STEPS if step.scaleb(exponent) >= least)
    return _TICKS * (max(step.to_integral_value(rounding="ROUND_CEILING"), Decimal(1)) if whole else step)


def _grid(top: Decimal, currency: str | None) -> list[Markup]:
    """Return the lines of a scale, with their figures in the margin that page.css leaves on the left."""
    drawn = []
    for line, figure in enumerate(scale_figures([top * line / _TICKS for line in range(_TICKS + 1)], currency)):
        y = _TOP + _PLOT - _PLOT * line // _TICKS
        drawn.append(element("line", x2="100%", y1=y, y2=y))
        drawn.append(element("text", figure, x=-8, y=y, dy=".35em", text_anchor="end"))
    return drawn


def _labels(labels: Sequence[str]) -> list[Markup]:
    count = min(_MOST_LABELS, len(labels))
    places = sorted({round(n * (len(labels) - 1) / max(count - 1, 1)) for n in range(count)})
    drawn = []
    for place in places:
        share = (place + 0.5) / len(labels)
        anchor = "start" if share < 0.06 else "end" if share > 0.94 else "middle"  # within the chart, on a phone too
        x = "0" if anchor == "start" else "100%" if anchor == "end" else f"{100 * share:.1f}%"
        drawn.append(element("text", labels[place], x=x, y=_TOP + _PLOT + 17, text_anchor=anchor))
    return drawn


def sparkline(figures: Sequence[Figure]) -> Markup:
    """Draw small bars, one a period, against the highest of them; the page's table by period has their figures."""
    heights = [max(float(figure or 0), 0.0) for figure in figures]
    highest = max(heights, default=0.0) or 1.0
    marks = (f"M{n} 20v{-max(round(height * 20 / highest), 1)}" for n, height in enumerate(heights) if height)
    size = f"-.5 0 {max(len(heights), 1)} 20"
    path = element("path", d="".join(marks))
    return element("svg", path, class_="spark", viewBox=size, preserveAspectRatio="none", aria_hidden="true")


def share_bar(part: Figure, whole: Figure) -> Markup | None:
    """Draw a part of a whole as a bar; None where it has no share."""
    if part is None or not whole:
        return None
    width = min(max(round(100 * float(part) / float(whole)), 0), 100)
    bar = element("rect", width=width, height=1)
    return element("svg", bar, class_="share", viewBox="0 0 100 1", preserveAspectRatio="none", aria_hidden="true")


def heat_map(rows: Sequence[Sequence[Figure]], *, words: str) -> Markup:
    """Draw a map of cells, the darker the more; one path a shade.

    Args:
        rows: figures, the same number in each row; none and what is not above 0 stays empty.
        words: what the map shows, for those who do not see it.
    """
    highest = max((float(figure or 0) for row in rows for figure in row), default=0.0) or 1.0
    paths: dict[int, list[str]] = {}
    for y, row in enumerate(rows):
        for x, figure in enumerate(row):
            share = max(float(figure or 0), 0.0) / highest
            level = min(int(share**0.5 * LEVELS) + 1, LEVELS) if share > 0 else 0  # what is small shows, too
            paths.setdefault(level, []).append(f"M{x * 10} {y * 10}h9v9h-9z")
    drawn = [element("path", class_=f"q{level}", d="".join(marks)) for level, marks in sorted(paths.items())]
    size = f"0 0 {10 * len(rows[0]) - 1} {10 * len(rows) - 1}"
    return element(
        "svg", drawn, class_="heat", role="img", aria_label=words, viewBox=size, preserveAspectRatio="none"
    )  # fmt: skip
