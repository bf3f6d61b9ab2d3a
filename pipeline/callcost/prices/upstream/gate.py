"""What is suspicious in a new cost map: prices that no change of a price explains.

Each price that the new map has and the last one had not, or had otherwise, is compared with what it was, with the
entry's other rates, with like models and other hosts of the model, and with other tables as known on that day. What is
suspicious is a list for a person: it is refused unless forced, and what was forced stays an open suspicion
(``prices/book/corrections.py``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from statistics import median_low
from typing import NamedTuple

from callcost.models import LOCAL, split_provider
from callcost.prices.book.changes import prices_of
from callcost.prices.book.corrections import is_far
from callcost.prices.book.cost_map import Entry
from callcost.prices.book.name_ladder import is_free
from callcost.prices.units import place_field
from callcost.prices.upstream.other_tables import OtherTables, SeenRate, host_of, plain_name, spelled, undated

POWER_OF_TEN = "power_of_ten"
ZERO = "zero"
OUTPUT_UNDER_INPUT = "output_under_input"
CACHE_OVER_INPUT = "cache_read_over_input"
TWO_TABLES = "two_tables"

ROUNDING = Decimal("0.01")  # prices are written with two or three digits
APART = Decimal(30)  # hosts of one model are rarely that far apart
TOO_DEAR = Decimal("0.001")  # dollars a token of text; the dearest model of all versions, o1-pro, costs 0.0006
UNDER = 100  # times that an answer's token is rarely cheaper than a prompt's
# What a place costs more, by the provider's word, where a table has the price of everywhere:
# https://aws.amazon.com/bedrock/pricing/, https://platform.claude.com/docs/en/build-with-claude/data-residency
REGIONAL = Decimal("1.1")
_REGIONS = frozenset({"azure", "azure_ai", "bedrock", "vertex_ai"})  # whose keys may have a region in their path
_ROUTERS = frozenset({"aihubmix", "openrouter", "vercel_ai_gateway"})  # who pass on prices of others, which move daily
_LATELY = timedelta(days=30)  # how old a table's word may be, to be set against a map to the digit
_NO_OUTPUT = frozenset({"embedding", "moderation", "rerank"})  # modes
_SIDES = ("text_input", "text_output")
# What a token of each unit usually costs, in tokens of the prompt.
_USUAL = {
    "text_input": (Decimal(1), Decimal(1)),
    "text_output": (Decimal(1), Decimal(10)),
    "cache_read": (Decimal("0.05"), Decimal(1)),
    "cache_write_5m": (Decimal(1), Decimal("1.25")),
    "cache_write_1h": (Decimal(1), Decimal(2)),
}


class Suspicion(NamedTuple):
    """One price of a new map that is probably wrong.

    Attributes:
        model: name in the cost map.
        field: with its path.
        old: what the last map said; None: nothing.
        new: what the new one says.
        kind: power_of_ten | zero | output_under_input | cache_read_over_input | two_tables.
        expected: what it should probably be, in US dollars a unit; None: nobody says.
        evidence: who says otherwise.
    """

    model: str
    field: str
    old: Decimal | None
    new: Decimal
    kind: str
    expected: Decimal | None
    evidence: str

    @property
    def words(self) -> str:
        """Why it is suspicious, in words."""
        expected = "" if self.expected is None else f"{self.expected:f}: "
        return f"{_WORDS[self.kind]} ({expected}{self.evidence})"


_WORDS = {
    POWER_OF_TEN: "off by a power of ten",
    ZERO: "0",
    OUTPUT_UNDER_INPUT: f"the answer costs under 1/{UNDER} of the prompt",
    CACHE_OVER_INPUT: "a cache read costs more than the prompt",
    TWO_TABLES: "two tables say otherwise",
}


class Cell(NamedTuple):
    """A price that is new, or that changed.

    Attributes:
        model: name in the cost map.
        field: with its path.
        old: what the last map said; None: nothing.
        new: what the new one says.
        unit: a plain rate's, of ``_USUAL``; "": it is another one's.
    """

    model: str
    field: str
    old: Decimal | None
    new: Decimal
    unit: str

    def suspected(self, kind: str, expected: Decimal | None, evidence: str) -> Suspicion:
        """Return the suspicion of it."""
        return Suspicion(self.model, self.field, self.old, self.new, kind, expected, evidence)

    @property
    def jumps(self) -> bool:
        """Whether it moved by a power of ten."""
        return bool(self.old and self.new and _is_ten(self.new, self.old))


class _Quote(NamedTuple):
    """What a token costs elsewhere: ``who`` says so, a table or a key of the maps."""

    who: str
    host: str
    value: Decimal


class _Quotes(NamedTuple):
    """What a rate is elsewhere: in tables of the very host, of its like models, and of other hosts."""

    tables: list[_Quote]
    own: list[_Quote]
    others: list[_Quote]

    def have(self, value: Decimal) -> bool:
        """Say whether a table has a value for the very host."""
        return any(_near(value, each.value) for each in self.tables)

    def against(self, value: Decimal) -> list[_Quote]:
        """Return who says that a value is off by a power of ten, the nearest first; []: nobody."""
        return next((pool for pool in self if _contradicts(value, pool)), [])


def find_suspicions(
    new: Mapping[str, Entry], old: Mapping[str, Entry], day: str, tables: OtherTables
) -> list[Suspicion]:
    """Return what is suspicious in the prices that a new map has and the last one had not, by model and field.

    Args:
        new: the new map.
        old: the one before it; empty: there was none, and nothing is judged.
        day: of the new map, as 2026-11-20: what other tables said before it counts.
        tables: the other tables.
    """
    changed = [model for model in sorted(new) if new[model] != old.get(model)] if old else []
    gate = _Gate(new, old, day, tables) if changed else None
    return [found for model in changed if gate for found in gate.judge(model)]


def changed_cells(model: str, entry: Entry, before: Entry | None) -> Iterator[Cell]:
    """Yield the prices of an entry that are new or changed."""
    was = prices_of(before)
    for field, value in prices_of(entry).items():
        if was.get(field) != value:
            yield Cell(model, field, was.get(field), value, _unit_of(field))


class _Gate:
    def __init__(self, new: Mapping[str, Entry], old: Mapping[str, Entry], day: str, tables: OtherTables) -> None:
        self._new, self._old, self._day, self._tables = new, old, day, tables
        self._lately = (date.fromisoformat(day) - _LATELY).isoformat()
        self._by_name: dict[str, list[tuple[str, str, Mapping[str, Decimal]]]] = defaultdict(list)
        self._asked: dict[tuple[str, str], list[Decimal]] = defaultdict(list)  # by (host, unit); host "": all
        for model, entry in (*old.items(), *((model, new[model]) for model in new if new[model] != old.get(model))):
            host, rates = _host(entry), _rates(entry)
            self._by_name[undated(plain_name(model))].append((model, host, rates))
            for unit, value in rates.items() if entry is old.get(model) else ():
                for whose in (host, "") if value else ():
                    self._asked[whose, unit].append(value)

    def judge(self, model: str) -> list[Suspicion]:
        """Return what is suspicious in an entry that changed, by field."""
        entry = self._new[model]
        rates, cells = _rates(entry), list(changed_cells(model, entry, self._old.get(model)))
        quotes = {cell.field: self._quotes(cell, entry) for cell in cells if cell.unit and cell.new}
        sure = {cell.new / cell.old for cell in cells if cell.old and cell.new and _is_quoted(quotes, cell)}
        found: dict[str, Suspicion] = {}
        for cell in cells:
            moved_as_quoted = cell.old and cell.new / cell.old in sure
            suspicion = None if moved_as_quoted else self._suspect(cell, entry, rates, quotes.get(cell.field))
            if suspicion:
                found[cell.field] = suspicion
        along = [_drawn_along(cell, rates, found) for cell in cells if cell.field not in found]
        return sorted([*found.values(), *filter(None, along)], key=lambda suspicion: suspicion.field)

    def _suspect(
        self, cell: Cell, entry: Entry, rates: Mapping[str, Decimal], quotes: _Quotes | None
    ) -> Suspicion | None:
        """Return what the first check that fails says."""
        if not cell.new:
            return _zero(cell, entry)
        if quotes is None:
            return _far_from_plain(cell, rates)
        return self._off_by_ten(cell, entry, quotes) or _against_entry(cell, rates) or self._against_two(cell, entry)

    def _off_by_ten(self, cell: Cell, entry: Entry, quotes: _Quotes) -> Suspicion | None:
        if quotes.have(cell.new):
            return None
        if contrary := quotes.against(cell.new):
            return cell.suspected(POWER_OF_TEN, median_low([each.value for each in contrary]), _name(contrary))
        if cell.new > TOO_DEAR:
            return cell.suspected(POWER_OF_TEN, None, f"over {TOO_DEAR} dollars a token")
        if not cell.jumps or cell.old is None or quotes.against(cell.old) or self._comes_back(cell, entry):
            return None
        return cell.suspected(POWER_OF_TEN, cell.old, "the last map")

    def _comes_back(self, cell: Cell, entry: Entry) -> bool:
        """Say whether a price comes to what is usual from far away, so that the old one was the wrong one."""
        for whose in (_host(entry), ""):
            asked = self._asked[whose, cell.unit]
            usual = median_low(asked) if asked else Decimal(0)
            if usual and cell.old and is_far(cell.old, usual, APART) and not is_far(cell.new, usual, APART):
                return True
        return bool(cell.old and cell.old > TOO_DEAR)

    def _against_two(self, cell: Cell, entry: Entry) -> Suspicion | None:
        """Set a price against two tables that agree with each other, and neither with this map nor the last one.

        Only what tables have under this very name counts, and no price that came nearer to theirs.
        """
        host, (named, rest) = _host(entry), split_provider(cell.model)
        if host in _ROUTERS or ("/" in rest and (host in _REGIONS or not named)):
            return None
        rows = [
            row
            for row in self._rows(cell)
            if row.host == host and row.model == spelled(cell.model) and row.seen_until >= self._lately
        ]
        if any(_near(cell.new, value) for row in rows for value in (row.value, row.value * REGIONAL)):
            return None
        tables: dict[Decimal, set[str]] = defaultdict(set)
        for row in rows:
            tables[row.value].add(row.table)
        agreed = [value for value, whose in tables.items() if len(whose) > 1 and value != cell.old]
        if len(agreed) != 1 or (cell.old and _times(cell.new, agreed[0]) < _times(cell.old, agreed[0])):
            return None
        whose = [_Quote(row.table, row.host, row.value) for row in rows if row.value == agreed[0]]
        return cell.suspected(TWO_TABLES, agreed[0], _name(whose))

    def _rows(self, cell: Cell) -> list[SeenRate]:
        return self._tables.known(undated(plain_name(cell.model)), cell.unit, self._day)

    def _quotes(self, cell: Cell, entry: Entry) -> _Quotes:
        host = _host(entry)
        words = [_Quote(row.table, row.host, row.value) for row in self._rows(cell)]
        listed = [
            _Quote(model, theirs, value)
            for model, theirs, rates in self._by_name[undated(plain_name(cell.model))]
            if model != cell.model and (value := rates.get(cell.unit))
        ]
        return _Quotes(
            [each for each in words if each.host == host],
            [each for each in listed if each.host == host],
            [each for each in (*words, *listed) if each.host != host],
        )


def _is_quoted(quotes: Mapping[str, _Quotes], cell: Cell) -> bool:
    return cell.field in quotes and quotes[cell.field].have(cell.new)


def _host(entry: Entry) -> str:
    return host_of(str(entry.get("litellm_provider") or ""))


def _unit_of(field: str) -> str:
    placed = place_field(field)
    return placed.unit if placed and placed.unit in _USUAL and not (placed.tier or placed.above) else ""


def _rates(entry: Entry) -> dict[str, Decimal]:
    """Return the plain rates of an entry by unit."""
    return {
        unit: value for field, value in entry.items() if isinstance(value, Decimal) and (unit := _unit_of(field))
    }


def _contradicts(value: Decimal, pool: list[_Quote]) -> bool:
    """Say whether all of some say another value: one a power of ten away, or all of at least two far apart."""
    if len({each.value > value for each in pool}) != 1 or not all(is_far(value, each.value) for each in pool):
        return False
    apart = len({(each.who, each.host) for each in pool}) > 1 and all(is_far(value, each.value, APART) for each in pool)
    return apart or any(_is_ten(value, each.value) for each in pool)


def _zero(cell: Cell, entry: Entry) -> Suspicion | None:
    """A price of a hosted model that went, or that nobody filled in."""
    if is_free(cell.model) or entry.get("litellm_provider") in LOCAL or cell.unit not in _SIDES:
        return None
    if cell.old:
        answers = cell.unit == "text_input" or entry.get("mode") not in _NO_OUTPUT
        return cell.suspected(ZERO, cell.old, "the last map") if answers else None
    return None if any(prices_of(entry).values()) else cell.suspected(ZERO, None, "no price of the entry is filled in")


def _far_from_plain(cell: Cell, rates: Mapping[str, Decimal]) -> Suspicion | None:
    """A tier's or a long prompt's rate that is a power of ten from the plain one, or moved by one without it."""
    placed = place_field(cell.field)
    if placed is None:
        return None
    plain = rates.get(placed.unit)
    if plain:
        return cell.suspected(POWER_OF_TEN, plain, "the entry's plain rate") if _is_ten(cell.new, plain) else None
    return cell.suspected(POWER_OF_TEN, cell.old, "the last map") if cell.jumps else None


def _against_entry(cell: Cell, rates: Mapping[str, Decimal]) -> Suspicion | None:
    given = rates.get("text_input")
    if given and cell.unit == "text_output" and cell.new * UNDER <= given:
        return cell.suspected(OUTPUT_UNDER_INPUT, None, f"the prompt costs {given:f}")
    if given and cell.unit == "cache_read" and cell.new > given:
        return cell.suspected(CACHE_OVER_INPUT, None, f"the prompt costs {given:f}")
    return None


def _drawn_along(cell: Cell, rates: Mapping[str, Decimal], found: Mapping[str, Suspicion]) -> Suspicion | None:
    """A rate in the usual ratio to one of its entry that is off by a power of ten: both are."""
    given = rates.get("text_input")
    if not (cell.unit and cell.new and given) or (cell.old and not cell.jumps):
        return None
    low, high = _USUAL[cell.unit]
    for field, suspicion in found.items():
        if suspicion.kind == POWER_OF_TEN and _unit_of(field) in _SIDES and low <= cell.new / given <= high:
            shift = suspicion.expected.adjusted() - suspicion.new.adjusted() if suspicion.expected else None
            return cell.suspected(POWER_OF_TEN, None if shift is None else cell.new.scaleb(shift), f"as {field}")
    return None


def _name(quotes: Iterable[_Quote]) -> str:
    names = sorted({f"{each.who} ({each.host})" if each.host else each.who for each in quotes})
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _near(one: Decimal, other: Decimal) -> bool:
    return abs(one - other) <= other * ROUNDING


def _times(one: Decimal, other: Decimal) -> Decimal:
    """Return how many times the one is the other, or the other way round."""
    return max(one / other, other / one)


def _is_ten(one: Decimal, other: Decimal) -> bool:
    """Say whether two values differ by a power of ten, within rounding."""
    places = one.adjusted() - other.adjusted()
    return any(_near(one, other.scaleb(shift)) for shift in (places - 1, places, places + 1) if shift)
