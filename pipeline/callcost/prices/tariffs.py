"""One entry of a cost map, read: which unit costs what, from which tier, threshold, band and hour on.

Every field goes through the grammar of ``units.py``; the fields that hold several rates (``tiered_pricing``,
``off_peak_pricing``, ``search_context_cost_per_query`` ...) are taken apart here. Which of the rates a call gets is
left to ``rates.py``.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple, TypeGuard, TypeVar

from callcost.models import LOCAL
from callcost.prices.documented_factors import Factor, documented
from callcost.prices.peak_hours import OFF_PEAK, Hours, read_hours
from callcost.prices.units import RateKey, place_field, unit_of

TOO_MUCH = Decimal(10**6)  # no unit costs a million dollars; below this no sum of charges can pass 38 digits
_THRESHOLD_AT = frozenset({"xai"})  # re-prices a prompt of exactly N tokens too; all others above N only
GOOGLE = frozenset({"gemini", "vertex_ai", "vertex_ai-language-models"})  # charges a search once a prompt
_MULTIPLIERS = {  # by what asks for them
    "residency eu": "regional_processing_uplift_multiplier_eu",
    "residency us": "regional_processing_uplift_multiplier_us",
    "residency fedramp": "fedramp_uplift_multiplier",
    "endpoint": "regional_endpoint_uplift_multiplier",
}
_BAND_UNITS = frozenset({"text_input", "cache_read", "cache_write_5m", "cache_write_1h", "reasoning"})


class ListedRate(NamedTuple):
    """A rate, and where it is from.

    Attributes:
        rate: US dollars for one unit.
        field: of the cost map.
        note: what it stands in for, and why; "" where the entry lists this very rate.
        weak: the rate that is missing may be higher than this one.
        suspect: a source says that the map has another power of ten.
        scheduled: another was announced for that time, and nothing has confirmed it.
        derived: the map has none, and this is what the provider documents.
    """

    rate: Decimal
    field: str
    note: str = ""
    weak: bool = False
    suspect: bool = False
    scheduled: bool = False
    derived: bool = False

    @property
    def is_its_own(self) -> bool:
        """Whether it is the unit's own rate for all that its note says."""
        return self.suspect or self.scheduled or self.derived


MARKS = ("weak", "suspect", "scheduled", "derived")  # what a rate may be


class Doubt(NamedTuple):
    """Why a rate that is listed may not be the one that was charged.

    Attributes:
        mark: what it makes of the rate: "suspect" or "scheduled".
        note: what speaks against it.
    """

    mark: str
    note: str


EVERY_FIELD = "*"  # among doubts
Rates = Mapping[RateKey, ListedRate]
_K = TypeVar("_K")


@dataclasses.dataclass(frozen=True, eq=False)
class Tariff:
    """Everything that one entry charges.

    Attributes:
        provider: the entry's litellm_provider, "" if it names none.
        mode: the entry's mode, "" if it names none.
        rates: by unit, tier and threshold.
        thresholds: prompt sizes above which other rates hold, ascending.
        at_threshold: they hold at that size too.
        bands: (prompts of more than so many tokens, rates) pairs, ascending; the rates replace ``rates``.
        hours: when the off-peak rates hold; None: never.
        off_peak: these rates, by unit.
        factors: multipliers by what asks for them: "residency eu", "endpoint", "entry us", "entry fast".
        once: units that are charged once a call, however many there were.
        documented: what the provider documents as a multiple of another rate.
        placeholder: every rate is 0 because nobody filled it in.
    """

    provider: str
    mode: str
    rates: Rates
    thresholds: tuple[int, ...]
    at_threshold: bool
    bands: tuple[tuple[int, Rates], ...]
    hours: Hours | None
    off_peak: Mapping[str, ListedRate]
    factors: Mapping[str, tuple[str, Decimal]]
    once: frozenset[str]
    documented: Mapping[str, Factor]
    placeholder: bool = False

    @functools.cached_property
    def empty(self) -> bool:
        """Whether the entry lists no rate at all."""
        return not (self.rates or self.bands)

    @functools.cached_property
    def free(self) -> bool:
        """Whether every rate of the entry is an explicit 0."""
        flat = (*self.rates.values(), *self.off_peak.values())
        banded = (listed for _, rates in self.bands for listed in rates.values())
        return not (self.empty or any(listed.rate for listed in (*flat, *banded)))

    @property
    def local(self) -> bool:
        """Whether the model runs on the user's own machine, and the user says nothing of what that costs."""
        return self.provider in LOCAL and self.free

    @functools.cached_property
    def modalities(self) -> frozenset[str]:
        """Which modalities the entry prices apart from text."""
        units = (unit_of(placed.unit) for placed in self.rates)
        return frozenset(found[0].modality for found in units if found) - {""}

    @functools.cached_property
    def varies(self) -> bool:
        """Whether anything but the tier changes the rates."""
        return bool(self.thresholds or self.bands or self.hours or self.factors or "endpoint" in self.documented)

    @functools.cached_property
    def edges(self) -> tuple[int, ...]:
        """Prompt sizes at which the rates change: each holds from there on."""
        steps = {size + (not self.at_threshold) for size in self.thresholds} | {size + 1 for size, _ in self.bands}
        return tuple(sorted(steps))


def read_tariff(
    entry: Mapping[str, Any],
    doubt: str = "",
    doubts: Mapping[str, Doubt] | None = None,
    factors: Mapping[str, Factor] | None = None,
) -> Tariff:
    """Read an entry, with exact decimals as ``cost_map.py`` gives it.

    Args:
        entry: the model's fields.
        doubt: why none of its rates is surely what the model costs; "": each is.
        doubts: what speaks against some of them, by field with its path; ``EVERY_FIELD``: against all.
        factors: what its provider documents; None: of any model of its, now.
    """
    provider = str(entry.get("litellm_provider") or "")
    rates = dict(_plain_rates(entry)) | dict(_tool_rates(entry))
    off_peak = _table(entry, OFF_PEAK)
    bands = tuple(sorted(_bands(entry, rates), key=lambda band: band[0]))
    off_peak_rates = {
        placed.unit: listed._replace(field=f"{OFF_PEAK}.{listed.field}") for placed, listed in _plain_rates(off_peak)
    }
    if doubt or doubts:
        rates, off_peak_rates = (_doubted(some, doubt, doubts or {}) for some in (rates, off_peak_rates))
        bands = tuple((start, MappingProxyType(_doubted(own, doubt, doubts or {}))) for start, own in bands)
    return Tariff(
        provider=provider,
        mode=str(entry.get("mode") or ""),
        rates=MappingProxyType(rates),
        thresholds=tuple(sorted({placed.above for placed in rates if placed.above})),
        at_threshold=provider in _THRESHOLD_AT,
        bands=bands,
        hours=read_hours(off_peak) if off_peak else None,
        off_peak=off_peak_rates,
        factors=dict(_factors(entry)),
        once=frozenset(_once(entry, provider)),
        documented=documented(provider) if factors is None else factors,
    )


def _doubted(rates: Mapping[_K, ListedRate], doubt: str, doubts: Mapping[str, Doubt]) -> dict[_K, ListedRate]:
    return {key: _doubt_of(listed, doubt, doubts) for key, listed in rates.items()}


def _doubt_of(listed: ListedRate, doubt: str, doubts: Mapping[str, Doubt]) -> ListedRate:
    own = doubts.get(listed.field) or doubts.get(EVERY_FIELD)
    if own:
        listed = listed._replace(note=own.note, suspect=own.mark == "suspect", scheduled=own.mark == "scheduled")
    return listed._replace(note="; ".join(filter(None, (doubt, listed.note))), weak=True) if doubt else listed


def _table(entry: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """Return a field that holds fields of its own; none where it holds anything else."""
    value = entry.get(field)
    return value if isinstance(value, Mapping) else {}


def _plain_rates(fields: Mapping[str, Any]) -> Iterator[tuple[RateKey, ListedRate]]:
    """Yield the fields that are one rate; a field's older spelling never wins over its newer one."""
    found: dict[RateKey, ListedRate] = {}
    for field, value in fields.items():
        placed = place_field(field)
        if placed and _is_rate(value) and (placed not in found or len(field) < len(found[placed].field)):
            found[placed] = ListedRate(value, field)
    yield from found.items()


def _is_rate(value: Any) -> TypeGuard[Decimal]:
    return isinstance(value, Decimal) and 0 <= value < TOO_MUCH


def _tool_rates(entry: Mapping[str, Any]) -> Iterator[tuple[RateKey, ListedRate]]:
    """Yield the rates that are written as a table inside a field."""
    sizes = _table(entry, "search_context_cost_per_query")
    for size in ("medium", "low", "high"):
        value = sizes.get(f"search_context_size_{size}")
        if _is_rate(value):
            listed = ListedRate(value, f"search_context_cost_per_query.search_context_size_{size}")
            yield RateKey(f"web_search_requests_{size}"), listed
            if size == "medium":
                yield RateKey("web_search_requests"), listed
    for policy, value in _table(entry, "guardrail_cost_per_unit").items():
        if _is_rate(value):
            yield RateKey(f"guardrail_units_{policy}"), ListedRate(value, f"guardrail_cost_per_unit.{policy}")
    for row in _rows(entry):
        value = row.get("input_cost_per_query")
        if "max_results_range" in row and _is_rate(value):
            note = "dearer for more results, and a log does not say how many were asked for"
            yield RateKey("input_queries"), ListedRate(value, "tiered_pricing.input_cost_per_query", note, weak=True)
            return


def _bands(entry: Mapping[str, Any], flat: Rates) -> Iterator[tuple[int, Rates]]:
    """Yield the rates of each range of prompt sizes: the row's own, then the flat ones of what no row can price."""
    for row in _rows(entry):
        limits = row.get("range")
        if not isinstance(limits, list) or not limits:
            continue
        rates = {
            placed: listed._replace(field=f"tiered_pricing.{listed.field}") for placed, listed in _plain_rates(row)
        }
        kept = {placed: listed for placed, listed in flat.items() if placed.unit not in _BAND_UNITS}
        yield int(limits[0]), MappingProxyType(kept | rates)


def _rows(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    rows = entry.get("tiered_pricing")
    return [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []


def _factors(entry: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, Decimal]]]:
    for asked, field in _MULTIPLIERS.items():
        if _is_rate(entry.get(field)):
            yield asked, (field, entry[field])
    for name, value in _table(entry, "provider_specific_entry").items():
        if _is_rate(value):
            yield f"entry {name}", (f"provider_specific_entry.{name}", value)


def _once(entry: Mapping[str, Any], provider: str) -> Iterator[str]:
    if provider in GOOGLE and entry.get("web_search_billing_unit") != "per_query":
        yield from (f"web_search_requests{size}" for size in ("", "_low", "_medium", "_high"))
