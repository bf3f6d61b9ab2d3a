"""What one model charges under given terms: a tariff and terms become a rate card.

A rate card holds the effective rate of every unit: the listed rate of the tier, above the thresholds that the prompt
crossed, in or off peak hours, or the rate that stands in where the entry has none; times all multipliers, rounded
once. Which entry applies is left to ``book.py``; how much is charged at these rates to ``charges.py`` and
``stages/pricing/price_facts.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from callcost.models import PROVISIONED, PROVISIONED_TIERS
from callcost.prices.documented_factors import Factor
from callcost.prices.stand_ins import EITHER_SIDE, HALVED, STAND_INS
from callcost.prices.tariffs import ListedRate, Rates, Tariff
from callcost.prices.tool_fees import usual_fee
from callcost.prices.units import TIERS, TOKEN_UNITS, UNITS, RateKey, is_measure, unit_of
from callcost.tables import EXACT, LAST_PLACE, MONEY_SCALE

HALF = Decimal("0.5")

Factors = tuple[tuple[str, Decimal], ...]  # (field, multiplier) pairs

# What a call says about its tier -> the suffix of cost fields, "" for the standard rate. A word that is not here is a
# tier that no map has a rate for. https://platform.openai.com/docs/api-reference/responses/object (service_tier),
# https://platform.claude.com/docs/en/api/service-tiers,
# https://docs.aws.amazon.com/bedrock/latest/userguide/service-tiers-inference.html,
# https://docs.cloud.google.com/vertex-ai/generative-ai/docs/deploy/consumption-options (trafficType)
_TIERS = {tier: tier for tier in TIERS} | {
    "batch": "batches",
    "on_demand_flex": "flex",
    "fast": "priority",
    "on_demand_priority": "priority",
    **dict.fromkeys(PROVISIONED_TIERS, PROVISIONED),
    **dict.fromkeys(("", "auto", "default", "none", "on_demand", "standard", "standard_only", "unspecified"), ""),
}
_DEARER = ("priority", "ultrafast", "decisions")  # than the standard rate
# What Anthropic says where no geography or speed was asked for that costs more:
# https://platform.claude.com/docs/en/build-with-claude/data-residency, .../fast-mode
_USUAL = frozenset({"", "global", "not_available", "standard"})
_BATCH = "batches"
_DOCUMENTED = "as documented:"  # how the name of a factor that is not the map's begins
BATCH_FORMATS = ("_batch",)  # how the dialects of batch results end: what they hold is known to be from a batch


class Terms(NamedTuple):
    """What a rate depends on beside the model.

    Attributes:
        tier: service tier as the log has it.
        batch: known to be from a batch, whatever the tier says.
        prompt_tokens: size of the whole prompt, for thresholds.
        region: cloud region or location.
        data_residency: OpenAI's regional host: "eu" | "us" | "fedramp".
        geo: Anthropic's inference_geo.
        speed: Anthropic's speed.
        moment: microseconds since 1970 UTC, for off-peak hours; None: not stated, at peak.
    """

    tier: str | None = None
    batch: bool = False
    prompt_tokens: int = 0
    region: str | None = None
    data_residency: str | None = None
    geo: str | None = None
    speed: str | None = None
    moment: int | None = None


class Case(NamedTuple):
    """All that terms settle of a tariff's rates: equal cases have equal rate cards.

    Attributes:
        tier: suffix of the cost fields, "" for standard.
        batch: from a batch.
        crossed: thresholds that the prompt crossed, ascending.
        band: number of the band of prompt sizes; -1: the tariff has none.
        off_peak: in off-peak hours.
        factors: multipliers of the rates.
        lacks: terms that cost more, for which the tariff has no multiplier.
        derived: whether one of the factors is not the map's, but what the provider documents.
    """

    tier: str = ""
    batch: bool = False
    crossed: tuple[int, ...] = ()
    band: int = -1
    off_peak: bool = False
    factors: Factors = ()
    lacks: tuple[str, ...] = ()
    derived: bool = False


class Line(NamedTuple):
    """One unit's line of a rate card.

    Attributes:
        rate: effective: listed rate x multipliers, rounded once.
        scaled: the same as a whole number of 10**-18 dollars.
        listed: the rate before the multipliers.
        factors: the multipliers.
        once: charged once a call, however many there were.
    """

    rate: Decimal
    scaled: int
    listed: ListedRate
    factors: Factors
    once: bool


class RateCard:
    """The effective rates of one model in one case; each is worked out when it is first asked for.

    Attributes:
        empty: the entry lists no rate at all.
        free: every rate of the entry is an explicit 0.
        local: the model runs on the user's own machine.
        provisioned: capacity was paid for, and tokens are not.
        placeholder: every rate is 0 because nobody filled it in.
    """

    __slots__ = ("_case", "_lines", "_short", "_tariff", "empty", "free", "local", "placeholder", "provisioned")

    def __init__(self, tariff: Tariff, case: Case) -> None:
        self._tariff, self._case = tariff, case
        self._lines: dict[str, Line | None] = {}
        self._short: RateCard | None = None
        self.empty = tariff.empty
        self.free = tariff.free
        self.local = tariff.local
        self.placeholder = tariff.placeholder
        self.provisioned = case.tier == PROVISIONED

    @property
    def short(self) -> RateCard:
        """The card of a prompt that crosses no threshold, of the first band; the same where this one does not."""
        if self._short is None:
            case = self._case._replace(crossed=(), band=min(self._case.band, 0))
            self._short = self if case == self._case else RateCard(self._tariff, case)
        return self._short

    def line(self, unit: str) -> Line | None:
        """Return the line of any unit, of tokens or of what is billed beside them; None: nothing prices it."""
        if unit not in self._lines:
            self._lines[unit] = self._line(unit)
        return self._lines[unit]

    def _line(self, unit: str) -> Line | None:
        listed = listed_rate(self._tariff, unit, self._case)
        if listed is None:
            return None
        factors = () if _is_tool(unit) else self._case.factors
        if self._case.derived and not _is_tool(unit):
            listed = listed._replace(note=listed.note or "times what the provider documents", derived=True)
        if self._case.lacks and not _is_tool(unit):
            listed = listed._replace(note=f"the map has no rate for {' and '.join(self._case.lacks)}", weak=True)
        rate = effective_rate(listed.rate, factors)
        return Line(rate, int(rate.scaleb(MONEY_SCALE)), listed, factors, unit in self._tariff.once)


def effective_rate(rate: Decimal, factors: Factors) -> Decimal:
    """Return a rate times its multipliers, rounded once to 18 places, half to even."""
    for _, factor in factors:
        rate = EXACT.multiply(rate, factor)
    return rate.quantize(LAST_PLACE, context=EXACT)


def case_of(tariff: Tariff, terms: Terms, discount: Factors = ()) -> Case:
    """Return what the terms settle of a tariff's rates."""
    if terms.tier is None and not (terms.batch or terms.geo or terms.speed or tariff.varies):
        return Case(factors=discount)
    tier, size = tier_of(terms.tier), terms.prompt_tokens
    batch = terms.batch or (tier == _BATCH and (_BATCH in tariff.documented or _has_batch_rates(tariff)))
    factors = [*_factors(tariff, terms)]
    return Case(
        tier="" if batch else tier,
        batch=batch,
        crossed=tuple(n for n in tariff.thresholds if size > n or (size == n and tariff.at_threshold)),
        band=max(0, sum(size > start for start, _ in tariff.bands) - 1) if tariff.bands else -1,
        off_peak=tariff.hours is not None and terms.moment is not None and tariff.hours.open_at(terms.moment),
        factors=(*factors, *discount),
        lacks=tuple(_lacking(tariff, terms)),
        derived=any(field.startswith(_DOCUMENTED) for field, _ in factors),
    )


def tier_of(tier: str | None) -> str:
    """Return the suffix of the cost fields of a tier that a call says; "": the standard one."""
    word = (tier or "").strip().lower()
    return _TIERS.get(word, word)


def _has_batch_rates(tariff: Tariff) -> bool:
    return any(placed.tier == _BATCH for placed in tariff.rates)


def _lacking(tariff: Tariff, terms: Terms) -> Iterator[str]:
    for name, word in (("inference_geo", terms.geo), ("speed", terms.speed)):
        asked = (word or "").lower()
        if asked not in _USUAL and f"entry {asked}" not in {*tariff.factors, *tariff.documented}:
            yield f"{name} {asked}"


def _is_tool(unit: str) -> bool:
    """Say whether a unit is charged the same in every tier, geography and prompt: a search, a page, a session."""
    found = unit_of(unit)
    return found is None or found[0].side == "other"


def _factors(tariff: Tariff, terms: Terms) -> Iterator[tuple[str, Decimal]]:
    regional = terms.region and terms.region.lower() != "global" and tariff.provider.startswith("vertex_ai")
    asked = (
        f"residency {(terms.data_residency or '').lower()}",
        "endpoint" if regional else "",
        f"entry {(terms.geo or '').lower()}",
        f"entry {(terms.speed or '').lower()}",
    )
    for name in asked:
        if name in tariff.factors:
            yield tariff.factors[name]
        elif name in tariff.documented:
            factor = tariff.documented[name]
            yield f"{_DOCUMENTED} {factor.source}", factor.times


# --- Which listed rate a unit gets ------------------------------------------------------------------------------------


def listed_rate(tariff: Tariff, unit: str, case: Case) -> ListedRate | None:
    """Return the rate that a unit gets in a case, its own or what stands in for it; None: nothing prices it."""
    if case.tier and _is_tool(unit):
        case = case._replace(tier="")
    if case.batch:
        return _batch_rate(tariff, unit, case)
    if case.off_peak and unit in tariff.off_peak:
        return tariff.off_peak[unit]
    rates, stand_in = _rates(tariff, case), STAND_INS.get(unit)
    follows = stand_in is not None and stand_in.follows and _tells_apart(rates, stand_in.unit, unit, case)
    own = None if follows else _own_rate(rates, unit, case.tier, case.crossed)
    if own is None or own.weak:
        derived = None if follows else _documented_rate(tariff, unit, case, case.tier)
        derived = derived or _documented_share(tariff, unit, case)
        if derived and (own is None or not derived.weak):
            return derived
    if own is not None and (own.rate or unit not in EITHER_SIDE):
        return own
    return _stand_in_rate(tariff, unit, case) or own or _last_resort(tariff, unit, case)


def _documented_rate(tariff: Tariff, unit: str, case: Case, tier: str) -> ListedRate | None:
    """Return what a tier costs as a multiple of the standard rate, where its provider says so; None: it does not."""
    factor = tariff.documented.get(tier) if tier in TIERS else None
    times = factor.times_of(unit) if factor and unit in TOKEN_UNITS else None
    if factor is None or times is None:
        return None
    standard = listed_rate(tariff, unit, case._replace(tier="", batch=False, off_peak=False))
    flat = _rates(tariff, case).get(RateKey(unit, tier))  # one below a threshold, above which nothing costs less
    rate = None if standard is None or standard.weak else EXACT.multiply(standard.rate, times)
    if standard is None or rate is None or (flat and flat.rate > rate):
        return None
    return _derive(standard, rate, f"no {tier} rate: {times} of the standard one", factor)


def _documented_share(tariff: Tariff, unit: str, case: Case) -> ListedRate | None:
    """Return what a unit costs as a multiple of another's rate, where its provider says so; None: it does not."""
    factor = tariff.documented.get(unit)
    other = listed_rate(tariff, factor.of, case) if factor else None
    if factor is None or other is None:
        return None
    note = f"no {unit} rate: {factor.times} of that of {factor.of}"
    return _derive(other, EXACT.multiply(other.rate, factor.times), note, factor)


def _derive(listed: ListedRate, rate: Decimal, note: str, factor: Factor) -> ListedRate:
    note = "; ".join(filter(None, (f"{note}, as documented: {factor.source}", listed.note)))
    return listed._replace(rate=rate, note=note, derived=True)


def _rates(tariff: Tariff, case: Case) -> Rates:
    return tariff.rates if case.band < 0 else tariff.bands[case.band][1]


def _tells_apart(rates: Rates, other: str, unit: str, case: Case) -> bool:
    """Say whether the other unit has a rate of the tier, and this one has not."""
    return bool(case.tier) and RateKey(other, case.tier) in rates and RateKey(unit, case.tier) not in rates


def _own_rate(rates: Rates, unit: str, tier: str, crossed: tuple[int, ...]) -> ListedRate | None:
    """Return the unit's rate in a tier above thresholds, or the nearest that the entry lists of this unit."""
    standard, tiered = rates.get(RateKey(unit)), rates.get(RateKey(unit, tier)) if tier else None
    if standard is None and not tiered:
        dearer = filter(None, (rates.get(RateKey(unit, other)) for other in _DEARER))
        note = "no standard rate: that of a dearer tier"
        standard = next((each._replace(note=note, weak=True) for each in dearer), None)
    best = tiered or (standard and _other_tier(standard, tier))
    for above in crossed:
        exact, plain = rates.get(RateKey(unit, tier, above)), rates.get(RateKey(unit, "", above))
        if exact is not None:
            best = exact
        elif plain is not None and tiered and standard and standard.rate:
            best = _scale(plain, tiered, standard, tier)
        elif plain is not None:
            best = _other_tier(plain, tier)
        elif best is not None:
            best = best._replace(note=f"no rate above {above} tokens", weak=True)
    return best


def _other_tier(listed: ListedRate, tier: str) -> ListedRate:
    if not tier or listed.weak:
        return listed
    return listed._replace(note=f"no {tier} rate: the standard one", weak=True)


def _scale(plain: ListedRate, tiered: ListedRate, standard: ListedRate, tier: str) -> ListedRate:
    rate = EXACT.divide(EXACT.multiply(plain.rate, tiered.rate), standard.rate)
    return ListedRate(rate, plain.field, f"no {tier} rate above the threshold: scaled by {tiered.field}", weak=True)


def _stand_in_rate(tariff: Tariff, unit: str, case: Case) -> ListedRate | None:
    stand_in = STAND_INS.get(unit)
    if stand_in is None:
        return None
    if unit in EITHER_SIDE:  # the other way round than all the others: no circle
        found = _own_rate(_rates(tariff, case), stand_in.unit, case.tier, case.crossed)
    else:
        found = listed_rate(tariff, stand_in.unit, case)
    fair = stand_in.is_fair(tariff, UNITS[unit].modality)
    return found and _in_place_of(found, unit, stand_in.unit, fair=fair)


def _in_place_of(listed: ListedRate, unit: str, other: str, *, fair: bool) -> ListedRate:
    note = "; ".join(filter(None, (f"no {unit} rate: that of {other}", listed.note)))
    return listed._replace(note=note, weak=listed.weak or not fair)


def _last_resort(tariff: Tariff, unit: str, case: Case) -> ListedRate | None:
    """Return the rate of a unit that the entry does not name at all."""
    if unit in TOKEN_UNITS:
        charges_otherwise = any(map(is_measure, (key.unit for key in tariff.rates if key.unit not in TOKEN_UNITS)))
        return _NOT_BY_TOKENS if charges_otherwise else None
    found = unit_of(unit)
    if found and found[1]:  # output_seconds for output_seconds_720p
        listed = listed_rate(tariff, found[0].name, case)
        return listed and _in_place_of(listed, unit, found[0].name, fair=False)
    return usual_fee(unit, tariff.provider)


_NOT_BY_TOKENS = ListedRate(Decimal(0), "", "the model is not charged by tokens", weak=True)


def _batch_rate(tariff: Tariff, unit: str, case: Case) -> ListedRate | None:
    """Return the batch rate: the unit's own, what is documented, its side's, or half of the standard one, assumed."""
    rates, plain = _rates(tariff, case), case._replace(batch=False, tier="", crossed=(), off_peak=False)
    own = _own_batch_rate(rates, unit, case.crossed)
    if unit not in TOKEN_UNITS:
        return own or listed_rate(tariff, unit, plain)
    if own is None or own.weak:
        own = _batch_stand_in(tariff, unit, case) or own
    if own is not None:
        return own
    standard = unit if unit in HALVED else f"text_{TOKEN_UNITS[unit].side}"
    if unit.startswith("cache_read"):  # nothing says that a batch pays for what it reads from a cache
        standard = "cache_read"
        if RateKey(standard) not in rates:
            return None
    return _half(listed_rate(tariff, standard, plain))


def _batch_stand_in(tariff: Tariff, unit: str, case: Case) -> ListedRate | None:
    """Return what stands in for a unit's batch rate: its side's, or what the provider documents; None: nothing."""
    rates, stand_in, side = _rates(tariff, case), STAND_INS.get(unit), f"text_{TOKEN_UNITS[unit].side}"
    fair = stand_in is None or stand_in.is_fair(tariff, UNITS[unit].modality)
    listed = _own_batch_rate(rates, side, case.crossed) if side != unit else None
    of_side = listed and _in_place_of(listed, unit, side, fair=fair)
    if of_side and not of_side.weak and RateKey(unit) not in rates:
        return of_side
    return _documented_rate(tariff, unit, case, _BATCH) or of_side


def _half(listed: ListedRate | None) -> ListedRate | None:
    note = "no batch rate: half of the standard one is assumed"
    return listed and listed._replace(rate=EXACT.multiply(listed.rate, HALF), note=note, weak=True)


def _own_batch_rate(rates: Rates, unit: str, crossed: tuple[int, ...]) -> ListedRate | None:
    """Return the unit's batch rate above the highest threshold that has one, else its plain batch rate."""
    for above in reversed(crossed):
        if RateKey(unit, _BATCH, above) in rates:
            return rates[RateKey(unit, _BATCH, above)]
    flat = rates.get(RateKey(unit, _BATCH))
    if flat is None or not crossed:
        return flat
    return flat._replace(note="; ".join(filter(None, ("no batch rate above the threshold", flat.note))), weak=True)
