"""What a bill tells apart, and our charges laid out so: how our names become the bill's, and the cells of both sides.

Where a bill is coarser than the logs (no model, no class, whole months), our charges are added up to its grain; nothing
of the bill is ever spread over finer cells.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from callcost.logs.bills.labels import PART_OF
from callcost.logs.bills.lines import DAY, BillLine, Kind, day_of
from callcost.logs.bills.names import ModelKey, model_key
from callcost.stages.reconcile.cells import NOTHING, Cell, CellKey, Part, is_token
from callcost.tables import EXACT, LAST_PLACE

_LONGEST_DAY = DAY + DAY // 12  # a day with some hours too many; a longer period is no day


class BillGrain:
    """What a bill tells apart, and so the key of the cell that a charge belongs to.

    Args:
        lines: all lines of the bill.
        ours: (provider, model) pairs of the logs.
        same: (provider, model of the logs) -> its name on the bill, where other evidence than the name tells.
    """

    def __init__(
        self, lines: Iterable[BillLine], ours: Iterable[tuple[str, str]],
        same: Mapping[tuple[str, str], str] | None = None,
    ) -> None:  # fmt: skip
        used = [line for line in lines if line.kind in {Kind.USAGE, Kind.CONTROL}]
        self._labels = _unite_names([(line.provider, line.model) for line in used if line.model], ours)
        for (provider, model), billed in (same or {}).items():
            self._labels[provider, model] = self._labels.get((provider, billed), billed)
        self._classes: dict[tuple[str, str | None], set[str | None]] = defaultdict(set)
        self._provider_classes: dict[str, set[str | None]] = defaultdict(set)
        self._coarse = {line.provider for line in used if line.model is None and is_token(line.token_class)}
        for line in used:
            label = self._label(line.provider, line.model, line.token_class)
            self._classes[line.provider, label].add(line.token_class)
            self._provider_classes[line.provider].add(line.token_class)
        self._periods = _periods(used)

    def key(self, day: int | None, provider: str, model: str | None, token_class: str | None) -> CellKey:
        """Return the key of the cell of a charge, ours or the bill's."""
        label = self._label(provider, model, token_class)
        known = self._classes.get((provider, label), set())
        billed = self._provider_classes.get(provider, set())
        if None in known and (is_token(token_class) or token_class not in billed):
            token_class = None
        if token_class in PART_OF and token_class not in known and PART_OF[token_class] in known:
            token_class = PART_OF[token_class]
        return CellKey(self._period(provider, day), provider, label, token_class)

    def _label(self, provider: str, model: str | None, token_class: str | None) -> str | None:
        if model is None or provider in self._coarse or not is_token(token_class):
            return None
        return self._labels.get((provider, model), model)

    def _period(self, provider: str, day: int | None) -> int | None:
        periods = self._periods.get(provider, [])
        if day is None or not periods:
            return day
        found = bisect_right(periods, day, key=lambda period: period[0]) - 1
        return periods[found][0] if found >= 0 and day < periods[found][1] else day


def _periods(lines: Iterable[BillLine]) -> dict[str, list[tuple[int, int]]]:
    found: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for line in lines:
        if line.start_at is not None and line.end_at is not None and line.end_at - line.start_at > _LONGEST_DAY:
            found[line.provider].add((day_of(line.start_at), line.end_at))
    return {provider: sorted(periods) for provider, periods in found.items()}


def _unite_names(
    billed: Iterable[tuple[str, str]], ours: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Give the names of one model one label: the bill's where it has one.

    Names with a snapshot stay apart from each other as long as every name of the model has one; as soon as one has
    none, it may stand for any of them, and all are one.
    """
    families: dict[tuple[str, ModelKey], set[tuple[bool, str]]] = defaultdict(set)
    for is_ours, names in ((False, billed), (True, ours)):
        for provider, name in names:
            families[provider, model_key(name).undated].add((is_ours, name))
    labels: dict[tuple[str, str], str] = {}
    for (provider, _), members in families.items():
        dated = all(model_key(name).date for _, name in members)
        by_date: dict[str, str] = {}
        for _, name in sorted(members):
            date = model_key(name).date if dated else ""
            labels[provider, name] = by_date.setdefault(date, name)
    return labels


def names_by_price(
    lines: Iterable[BillLine], parts: Sequence[Part], slack: Mapping[str, Decimal]
) -> dict[tuple[str, str], str]:
    """Find logged models that a bill calls by a part of their name, and at their price: Grok 4.1 is the fast one.

    Args:
        lines: lines of the bill.
        parts: our charges.
        slack: dialect -> half a unit of the last place of its amounts.

    Returns:
        (provider, model of the logs) -> name on the bill. Only where neither name has another match, the bill's name
        has the numbers and a part of the words of the longer one, and all that the bill counts of it is at our rates.
    """
    priced = [line for line in lines if line.model and line.amount and line.quantity and is_token(line.token_class)]
    billed = {(line.provider, line.model) for line in priced if line.model}
    ours = {(part.paid, part.model) for part in parts if part.cost}
    known = _unite_names(billed, ours)
    alone = [one for one in billed if not any(known[one] == known[other] for other in ours if other[0] == one[0])]
    free = [one for one in ours if not any(known[one] == known[other] for other in billed if other[0] == one[0])]
    pairs = [(long, short) for long in free for short in alone if long[0] == short[0] and _is_longer(long[1], short[1])]
    rates = {long: _rates_of(part for part in parts if (part.paid, part.model) == long) for long, _ in pairs}
    agreed = [
        (long, short) for long, short in pairs
        if all(
            _is_at_our_rate(line, rates[long].get(line.token_class, set()), slack)
            for line in priced if (line.provider, line.model) == short
        )
    ]  # fmt: skip
    once = {one for one, count in Counter(one for pair in agreed for one in pair).items() if count == 1}
    return {long: short[1] for long, short in agreed if {long, short} <= once}


def _is_longer(long: str, short: str) -> bool:
    whole, part = model_key(long), model_key(short)
    return whole.numbers == part.numbers and part.date in {"", whole.date} and set(part.words) < set(whole.words)


def _rates_of(parts: Iterable[Part]) -> dict[str | None, set[Decimal]]:
    """Return class -> prices of one token."""
    found: dict[str | None, set[Decimal]] = defaultdict(set)
    for part in parts:
        if part.cost and part.quantity:
            found[part.token_class].add(part.cost / part.quantity)
    return found


def _is_at_our_rate(line: BillLine, rates: Iterable[Decimal], slack: Mapping[str, Decimal]) -> bool:
    quantity, amount = line.quantity or NOTHING, line.amount or NOTHING
    exponent = amount.normalize().as_tuple().exponent
    own = Decimal(5).scaleb(exponent - 1) if isinstance(exponent, int) else NOTHING  # what its own last digit can hide
    room = max(min(own, abs(amount) / 5), slack[line.dialect]) + LAST_PLACE
    return any(abs(EXACT.multiply(rate, quantity) - amount) <= room for rate in rates)


def build_cells(
    parts: Iterable[Part],
    lines: Iterable[BillLine],
    grain: BillGrain,
    slack: Mapping[str, Decimal],
    per_call: Iterable[str] = (),
) -> dict[CellKey, Cell]:
    """Lay our charges and the bill's lines side by side.

    Args:
        parts: our charges on the days that the bill covers.
        lines: lines of the bill, usage and sums of invoices only.
        grain: what the bill tells apart.
        slack: dialect -> half a unit of the last place of its amounts.
        per_call: providers whose bill has a row per call: what joins none of them is billed 0.

    Returns:
        One cell per key, started.
    """
    cells: dict[CellKey, Cell] = {}
    counted: set[tuple[str, bool]] = set()
    priced = set(per_call)
    for line in lines:
        key = grain.key(line.day, line.provider, line.model, line.token_class)
        cell = cells.setdefault(key, Cell(key))
        cell.add_line(line)
        if line.quantity is not None:
            counted.add((line.provider, is_token(line.token_class)))
        if line.amount is not None:
            cell.slack += slack[line.dialect]
            priced.add(line.provider)
    for part in parts:
        key = grain.key(part.day, part.paid, part.model, part.token_class)
        cells.setdefault(key, Cell(key)).add_part(part)
    for key, cell in cells.items():  # what a bill that counts does not name, it counts as none
        if cell.billed is None and cell.amount is None and (key.provider, cell.is_token) in counted:
            cell.billed = NOTHING
        if cell.amount is None and key.provider in priced:
            cell.amount = NOTHING
        cell.start()
    return cells


def group_cells(cells: Mapping[CellKey, Cell]) -> list[tuple[CellKey, list[Cell]]]:
    """Bring the cells of each day, provider and model together, in order; the key of a group has no class."""
    groups: dict[CellKey, list[Cell]] = defaultdict(list)
    for key, cell in sorted(cells.items(), key=lambda item: _order(item[0])):
        groups[key._replace(token_class=None)].append(cell)
    return list(groups.items())


def _order(key: CellKey) -> tuple[int, str, str, str]:
    return (-1 if key.day is None else key.day), key.provider, key.model or "", key.token_class or ""
