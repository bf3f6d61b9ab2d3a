"""A small chart of a model's prices over time, as SVG: text that scales, light and dark, no script, nothing fetched.

Solid lines are what was charged, dashed ones what the cost maps said where they were late or wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import escape
from itertools import pairwise
from typing import NamedTuple

from callcost.prices.book.price_windows import PriceWindow

_WIDTH, _HEIGHT = 720, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 565, 40, 280  # edges of the plot
_FIELDS = {  # that a chart shows, and what it calls them
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache read",
    "cache_creation_input_token_cost": "cache write",
}
_MILLION = 10**6
_STEPS = tuple(Decimal(mantissa) for mantissa in ("1", "2", "2.5", "5", "10"))
_TICKS = 5  # at the most, of the scale of prices
_CUT = Decimal("1.05")  # times the highest price that was charged: what maps say above that is cut off
_LINE_HEIGHT = 16
_STYLE = """
svg{font:13px system-ui,sans-serif;background:#fff}text{fill:#1f2328}.quiet{fill:#59636e}.grid{stroke:#d1d9e0}
path{fill:none;stroke-width:2}.listed{stroke-dasharray:5 4;stroke-width:1.5}
.s0{stroke:#0550ae}.s1{stroke:#bc4c00}.s2{stroke:#116329}.s3{stroke:#8250df}
.t0{fill:#0550ae}.t1{fill:#bc4c00}.t2{fill:#116329}.t3{fill:#8250df}
@media(prefers-color-scheme:dark){svg{background:#0d1117}text{fill:#f0f6fc}.quiet{fill:#9198a1}.grid{stroke:#3d444d}
.s0{stroke:#79c0ff}.s1{stroke:#ffa657}.s2{stroke:#7ee787}.s3{stroke:#d2a8ff}
.t0{fill:#79c0ff}.t1{fill:#ffa657}.t2{fill:#7ee787}.t3{fill:#d2a8ff}}
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Scale(NamedTuple):
    """Where a moment and a price stand.

    Attributes:
        first: moment at the left edge, microseconds since 1970 UTC.
        last: moment at the right edge.
        top: price at the upper edge, dollars for a million tokens.
    """

    first: int
    last: int
    top: Decimal

    def x(self, moment: int) -> str:
        """Return where a moment stands from the left."""
        share = Decimal(min(max(moment, self.first), self.last) - self.first) / (self.last - self.first)
        return _plain(round(_LEFT + share * (_RIGHT - _LEFT), 1))

    def y(self, price: Decimal) -> str:
        """Return where a price stands from above; what is far too dear for the chart is cut off."""
        return _plain(round(_BOTTOM - min(price / self.top, _CUT) * (_BOTTOM - _TOP), 1))


def draw_prices(model: str, charged: Sequence[PriceWindow], listed: Sequence[PriceWindow], *, until: int) -> str:
    """Draw what tokens of a model cost.

    Args:
        model: its name.
        charged: windows of its prices, corrections laid over the maps.
        listed: the same without corrections.
        until: where the chart ends, microseconds since 1970 UTC.

    Returns:
        SVG, a document of its own.
    """
    fields = [field for field in _FIELDS if any(_is_plain(window, field) for window in charged)]
    shown = [[window for window in charged if _is_plain(window, field)] for field in fields]
    maps = [[window for window in listed if _is_plain(window, field)] for field in fields]
    body: list[str]
    if not fields:
        body = [f'<text x="{_LEFT}" y="{_HEIGHT // 2}" class="quiet">no price of a token is known</text>']
    else:
        first = min(window.begins for windows in shown for window in windows)
        dearest = max(window.value for windows in shown for window in windows) * _MILLION
        step = _step(dearest)
        scale = _Scale(first, max(until, first + 1), step * -(-dearest // step) if dearest else Decimal(1))
        body = [*_grid(scale, step), *_lines(scale, shown, maps), *_labels(scale, fields, shown)]
    words = "; ".join(_describe(_FIELDS[field], windows) for field, windows in zip(fields, shown, strict=True))
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="t d">',
        f'<title id="t">Prices of {escape(model)}</title>',
        f'<desc id="d">US dollars for a million tokens. {escape(words)}. Dashed: what cost maps said.</desc>',
        f"<style>{_STYLE}</style>",
        f'<text x="{_LEFT}" y="20">{escape(model)}<tspan class="quiet">, $ for a million tokens</tspan></text>',
        *body,
        f'<text x="{_LEFT}" y="{_HEIGHT - 6}" class="quiet">solid: charged, dashed: what cost maps said</text>',
        "</svg>\n",
    ])  # fmt: skip


def _is_plain(window: PriceWindow, field: str) -> bool:
    return window.field == field and not window.origin.condition


def _step(dearest: Decimal) -> Decimal:
    """Return the distance of the lines of the scale: a round number, of which few reach the dearest price."""
    if not dearest:
        return Decimal(1)
    exponent = (dearest / _TICKS).adjusted()
    return next(step.scaleb(exponent) for step in _STEPS if step.scaleb(exponent) * _TICKS >= dearest)


def _grid(scale: _Scale, step: Decimal) -> Iterator[str]:
    for number in range(int(scale.top / step) + 1):
        y = scale.y(number * step)
        yield f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y}" y2="{y}" class="grid"/>'
        yield f'<text x="{_LEFT - 8}" y="{y}" dy=".35em" text-anchor="end" class="quiet">{_plain(number * step)}</text>'
    for moment, words in _dates(scale):
        yield f'<line x1="{scale.x(moment)}" x2="{scale.x(moment)}" y1="{_BOTTOM}" y2="{_BOTTOM + 5}" class="grid"/>'
        yield f'<text x="{scale.x(moment)}" y="{_BOTTOM + 19}" text-anchor="middle" class="quiet">{words}</text>'


def _dates(scale: _Scale) -> Iterator[tuple[int, str]]:
    """Yield the first days of years, of a shorter chart of quarters or months, with what stands below them."""
    begins, ends = (_EPOCH + timedelta(microseconds=moment) for moment in (scale.first, scale.last))
    days = (ends - begins).days
    months = range(1, 13, 12 if days > 730 else 3 if days > 180 else 1)
    for year in range(begins.year, ends.year + 1):
        for month in months:
            day = datetime(year, month, 1, tzinfo=UTC)
            if begins <= day <= ends:
                yield (day - _EPOCH) // timedelta(microseconds=1), f"{day:%Y}" if len(months) == 1 else f"{day:%Y-%m}"


def _lines(scale: _Scale, shown: list[list[PriceWindow]], maps: list[list[PriceWindow]]) -> Iterator[str]:
    for number, (charged, listed) in enumerate(zip(shown, maps, strict=True)):
        wrong = list(_apart(listed, charged, scale.last))
        if wrong:
            yield f'<path class="s{number} listed" d="{_path(scale, wrong)}"/>'
        yield f'<path class="s{number}" d="{_path(scale, charged)}"/>'


def _apart(listed: Iterable[PriceWindow], charged: Sequence[PriceWindow], last: int) -> Iterator[PriceWindow]:
    """Yield the parts of the maps' windows in which something else was charged."""
    for window in listed:
        for other in charged:
            begins = max(window.begins, other.begins)
            ends = min(window.ends or last, other.ends or last)
            if begins < ends and window.value != other.value:
                yield window._replace(begins=begins, ends=ends)


def _path(scale: _Scale, windows: Sequence[PriceWindow]) -> str:
    """Return steps; where a window does not begin as the one before it ends, a new line begins."""
    parts, pen = list[str](), 0
    for window in windows:
        y, ends = scale.y(window.value * _MILLION), scale.last if window.ends is None else window.ends
        parts.append(f"V{y}" if parts and pen == window.begins else f"M{scale.x(window.begins)} {y}")
        parts.append(f"H{scale.x(ends)}")
        pen = ends
    return "".join(parts)


def _labels(scale: _Scale, fields: Sequence[str], shown: list[list[PriceWindow]]) -> Iterator[str]:
    """Yield what each line is, beside its end; labels that would lie over each other move apart."""
    floor, places = Decimal(0), list[tuple[Decimal, int]]()
    for y, number in sorted((Decimal(scale.y(windows[-1].value * _MILLION)), n) for n, windows in enumerate(shown)):
        floor = max(y, floor + _LINE_HEIGHT)
        places.append((floor, number))
    ceiling = Decimal(_BOTTOM + _LINE_HEIGHT)
    for y, number in reversed(places):
        ceiling = min(y, ceiling - _LINE_HEIGHT)
        words = f"{_FIELDS[fields[number]]} {_plain(shown[number][-1].value * _MILLION)}"
        yield f'<text x="{_RIGHT + 8}" y="{_plain(ceiling)}" dy=".35em" class="t{number}">{words}</text>'


def _describe(name: str, windows: Sequence[PriceWindow]) -> str:
    """Return a line in words, for those who do not see it."""
    news = [now for before, now in pairwise([None, *windows]) if now and (before is None or before.value != now.value)]
    steps = [
        f"{_plain(window.value * _MILLION)} since {_EPOCH + timedelta(microseconds=window.begins):%Y-%m-%d}"
        for window in news
    ]
    return f"{name} {', '.join(steps)}"


def _plain(amount: Decimal | int) -> str:
    """Return a number with all its digits and no exponent."""
    return f"{Decimal(amount).normalize():f}"
