"""Whether a new map may be trusted, and whether the versions that are there are sound.

A refusal needs a reason that a person can judge; what is merely remarkable is listed. The bounds come from the 103
versions of three years: a version keeps 95 % of the models (once 88 %: a clean-up), and a price of at most 4 % of them
moves more than threefold.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from callcost.prices.book.archive import isoformat
from callcost.prices.book.catalog import Catalog, Version
from callcost.prices.book.changes import MapChange, PriceChange, compare_maps, prices_of
from callcost.prices.book.cost_map import Entry
from callcost.prices.book.faults import DEAR, faults_in
from callcost.prices.units import EXPLAINED, STRUCTURED, is_cost_field, place_field
from callcost.prices.upstream.gate import Suspicion, find_suspicions
from callcost.prices.upstream.other_tables import load_other_tables

MIN_KEPT_PERCENT = 90
MAX_JUMPED_PERCENT = 10
JUMP = Decimal(3)


@dataclasses.dataclass(frozen=True, slots=True)
class Findings:
    """What was found in a new map.

    Attributes:
        refusals: why it should not be added; empty: nothing speaks against it.
        unplaced: cost fields that the grammar does not know, and how many models have them.
        jumps: prices that moved more than threefold, or from something to nothing.
        change: everything that changed against the version before it.
        suspicions: prices that no change of a price explains.
        map: the new map.
    """

    refusals: list[str]
    unplaced: dict[str, int]
    jumps: list[PriceChange]
    change: MapChange
    suspicions: list[Suspicion]
    map: Mapping[str, Entry]


def check_map(new: Mapping[str, Entry], old: Mapping[str, Entry], moment: int) -> Findings:
    """Judge a new map beside the one before it, and beside what other tables said by then.

    Args:
        new: the map that would be added.
        old: the map in force before; empty if there is none.
        moment: from which it is in force, microseconds since 1970 UTC.
    """
    change = compare_maps(old, new)
    jumps = [price for price in change.prices if _jumps(price)]
    unplaced = Counter(field for entry in new.values() for field in unplaced_fields(entry))
    faulty = {(model, fault.path) for model, entry in new.items() for fault in faults_in(entry)}
    found = find_suspicions(new, old, isoformat(moment)[:10], load_other_tables())
    suspicions = [each for each in found if (each.model, each.field) not in faulty]
    reasons = [*_refusals(new, old, change, jumps), *_find_wrong_rates(new), *_refuse_suspicious(suspicions)]
    return Findings(reasons, unplaced, jumps, change, suspicions, new)


def find_suspicious(catalog: Catalog, versions: Iterable[Version]) -> list[tuple[Version, Suspicion]]:
    """Return what is suspicious in versions, each beside the one before it and what other tables said by then."""
    return [
        (version, found)
        for version in versions
        if version.index
        for found in find_suspicions(
            catalog.map_of(version), catalog.map_of(catalog.versions[version.index - 1]),
            version.effective_text[:10], load_other_tables(),
        )
    ]  # fmt: skip


def _refuse_suspicious(found: list[Suspicion]) -> Iterator[str]:
    if found:
        first = found[0]
        why = f"{first.field} {first.new:f}: {first.words}"
        yield f"{len(found):,} prices are suspicious, such as {first.model} ({why})"


def _find_wrong_rates(new: Mapping[str, Entry]) -> Iterator[str]:
    """Yield why rates of a map are no rates: those below 0, the others, and those that are too dear."""
    found = [(model, fault) for model, entry in new.items() for fault in faults_in(entry)]
    below = [(model, fault) for model, fault in found if fault.value.startswith("-")]
    broken = [(model, fault) for model, fault in found if not fault.dear and not fault.value.startswith("-")]
    dear = [(model, fault) for model, fault in found if fault.dear]
    for faults, reason in (
        (below, f"{len({model for model, _ in below}):,} models have a price below 0"),
        (broken, f"{len(broken):,} fields are no price"),
        (dear, f"{len(dear):,} rates are over {DEAR} dollar a token"),
    ):
        if faults:
            yield f"{reason}, such as {faults[0][0]} ({faults[0][1]})"


def unplaced_fields(entry: Entry) -> list[str]:
    """Return the cost fields of an entry that the grammar cannot place and no table explains."""
    return [
        field
        for field in entry
        if is_cost_field(field) and field not in STRUCTURED and field not in EXPLAINED and place_field(field) is None
    ]


def find_unplaced_fields(catalog: Catalog) -> dict[str, tuple[Version, list[str]]]:
    """Return, over all versions, each unplaced field with the first version that has it and the models that do."""
    found: dict[str, tuple[Version, list[str]]] = {}
    for model in sorted(catalog.models):
        for version, entry in catalog.history(model):
            for field in unplaced_fields(entry or {}):
                first, models = found.setdefault(field, (version, []))
                found[field] = (min(first, version), models if model in models else [*models, model])
    return found


def explain_fields(catalog: Catalog) -> dict[str, str]:
    """Return the cost fields of all versions that are not charged, each with the reason."""
    seen = {field for model in catalog.models for _, entry in catalog.history(model) for field in entry or {}}
    return {field: reason for field, reason in EXPLAINED.items() if field in seen}


def find_damage(catalog: Catalog) -> list[Version]:
    """Return the versions whose stored map is not the one that their digest was taken of."""
    return [version for version in catalog.versions if catalog.digest_of(version) != version.sha256]


def _refusals(
    new: Mapping[str, Entry], old: Mapping[str, Entry], change: MapChange, jumps: list[PriceChange]
) -> list[str]:
    reasons = []
    kept = len(old) - len(change.dropped)
    if not any(map(prices_of, new.values())):
        reasons.append("it holds no price at all")
    if kept * 100 < len(old) * MIN_KEPT_PERCENT:
        reasons.append(f"it lists only {kept:,} of the {len(old):,} models of the version before it")
    jumped = len({price.model for price in jumps})
    if kept and jumped * 100 > kept * MAX_JUMPED_PERCENT:
        reasons.append(f"prices of {jumped:,} of {kept:,} models moved more than threefold or are gone")
    return reasons


def _jumps(price: PriceChange) -> bool:
    if not price.old:
        return False
    return not price.ratio or price.ratio > JUMP or price.ratio * JUMP < 1
