"""The price book: what prices a call of any moment, and at which rates.

Keeps what was found once (names, tariffs, rate cards), as a log asks the same a million times. How a name is looked up
is said in ``name_ladder.py``, how rates follow from terms in ``rates.py``; how much is charged at them is left
to the readers, ``charges.py`` and ``stages/pricing/price_facts.py``.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from callcost.models import nearest
from callcost.prices.book.archive import RESERVED, microseconds
from callcost.prices.book.catalog import Catalog, load_catalog
from callcost.prices.book.corrections import Correction, load_corrections, load_others
from callcost.prices.book.cost_map import CostMap, Entry
from callcost.prices.book.name_ladder import SOON, VERY_NAME, Listing, Rules, Search, is_free
from callcost.prices.book.overrides import Overrides, load_overrides
from callcost.prices.book.registered import entries_of
from callcost.prices.book.rungs import has_no_price, without_variant
from callcost.prices.documented_factors import MOMENTS, Factor, documented
from callcost.prices.rates import Case, Factors, RateCard, Terms, case_of
from callcost.prices.tariffs import Tariff, read_tariff
from callcost.settings import PriceOptions

AS_OF, LATEST = RESERVED
_BEFORE_ALL = -(2**63)  # a moment before every version
_OF_ITS_DAY = frozenset({"in_force", "corrected"})  # bases of what the version in force lists
_SPARE = 3  # names that are near, but have no price
_MISSPELT = 0.8  # ratio of likeness: two letters changed places in a name of six


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Resolution:
    """What prices a model at a moment, or why nothing does.

    Attributes:
        key: the model's name in the cost map; None: no version that applies lists it.
        tariff: its entry, read; None: unknown.
        rung: the step of the name ladder that found it.
        basis: in_force | corrected | retired | first_listed_later | newest | other_table; None: unpriced.
        version: name of the cost map that prices it; None: unpriced.
        reason: why it is unpriced: unknown_model | no_rate; None: it is priced.
        discount: what the user's own prices take off.
        entry: the fields as the map, or the user's own prices, have them.
        region: where the model is served, as its name says; None: it does not.
        named: the provider that the name says, where the log states another; None: they agree.
        corrections: what was laid over the map's entry.
        runner_up: key of a like name that was in force, where the very name was listed soon after.
    """

    key: str | None = None
    tariff: Tariff | None = None
    rung: str | None = None
    basis: str | None = None
    version: str | None = None
    reason: str | None = None
    discount: Factors = ()
    entry: Entry | None = None
    region: str | None = None
    named: str | None = None
    corrections: tuple[Correction, ...] = ()
    runner_up: str | None = None


PULL_HINT = "`callcost prices pull` fetches newer prices"
UNKNOWN = Resolution(reason="unknown_model")


class _Query(NamedTuple):
    """What a log says of a model."""

    model: str
    provider: str | None
    region: str | None
    requested: str | None


class Book:
    """Prices of every moment, by the rules that the options set.

    Attributes:
        rules: which versions price a call.
        moments: when anything changes, ascending, microseconds since 1970: between two of them a name resolves to the
            same.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._dated = {} if rules.pinned else {version.name: version for version in rules.catalog.versions}
        follows = not (rules.pinned or rules.latest or rules.fixed is not None)
        listed = [version.effective_from for version in rules.catalog.versions] if follows else []
        starts = [*listed, *(moment - SOON for moment in listed)]
        of_tables = {moment for table in rules.tables if follows for moment in table.moments}
        of_factors = MOMENTS if follows else ()
        self.moments = sorted({*starts, *of_tables, *of_factors, *rules.overrides.moments})
        self._resolved: dict[tuple[tuple[str, str | None, str | None, str | None], int], Resolution] = {}
        self._changes: dict[_Query, list[int]] = {}
        self._tariffs: dict[tuple[int, str, tuple[Factor, ...]], tuple[Entry, Tariff]] = {}
        self._cards: dict[tuple[Tariff, Case], RateCard] = {}
        self._nearest_names: dict[tuple[object, ...], list[str]] = {}

    def at_list_prices(self) -> Book:
        """Return a book of the same prices without the user's discounts; itself where there are none."""
        plain = self.rules.overrides.without_discounts()
        return self if plain is self.rules.overrides else Book(dataclasses.replace(self.rules, overrides=plain))

    @property
    def catalog(self) -> Catalog:
        """All versions."""
        return self.rules.catalog

    def era(self, at: int | None) -> int:
        """Return the number of the span between two of the ``moments`` that a call falls in; -1: it has no time."""
        rules = self.rules
        if rules.fixed is not None:
            at = rules.fixed
        elif not self.moments:
            at = None
        return -1 if at is None else bisect.bisect_right(self.moments, at)

    def moment_of(self, era: int) -> int | None:
        """Return a moment that falls in the span of a number."""
        return None if era < 0 else self.moments[era - 1] if era else _BEFORE_ALL

    def resolve(
        self,
        model: str,
        provider: str | None = None,
        at: int | None = None,
        *,
        region: str | None = None,
        requested: str | None = None,
    ) -> Resolution:
        """Find what prices a model.

        Args:
            model: as the log names it.
            provider: as the log names it; None: not stated.
            at: when the call was made, microseconds since 1970 UTC; None: not known.
            region: cloud region.
            requested: the model that was asked for, tried where nothing lists ``model``.
        """
        return self.resolve_in(_Query(model, provider, region, requested), self.era(at))

    def resolve_in(self, asked: tuple[str, str | None, str | None, str | None], era: int) -> Resolution:
        """Find what prices (model, provider, region, requested) in the span of a number: the batch reader's way."""
        found = self._resolved.get((asked, era))
        if found is None:
            named = _Query._make(asked)
            found = self._resolved[named, era] = self._resolve_era(named, era)
        return found

    def rates(self, resolution: Resolution, terms: Terms) -> RateCard | None:
        """Return the rate card of what was resolved under given terms; None: nothing was."""
        if resolution.tariff is None:
            return None
        if resolution.region and not terms.region:
            terms = terms._replace(region=resolution.region)
        case = case_of(resolution.tariff, terms, resolution.discount)
        card = self._cards.get((resolution.tariff, case))
        if card is None:
            card = self._cards[resolution.tariff, case] = RateCard(resolution.tariff, case)
        return card

    def suggest(self, model: str) -> list[str]:
        """Return the known names nearest to an unknown one, for messages."""
        return self._nearest(model, 3)

    def guess(self, model: str) -> str | None:
        """Return the known name that an unknown one is probably a misspelling of, for messages; None: there is none."""
        return next(iter(self._nearest(model, 1, likeness=_MISSPELT)), None)

    def _nearest(self, model: str, count: int, **likeness: float) -> list[str]:
        asked = (model, count, *likeness.values())
        if asked not in self._nearest_names:
            named = without_variant(self.target_of(model) or model)
            found = nearest(named, self.rules.known(), count + _SPARE, **likeness)
            self._nearest_names[asked] = [name for name in found if not has_no_price(name)][:count]
        return self._nearest_names[asked]

    def target_of(self, model: str) -> str | None:
        """Return what an override file says a name stands for, for messages; None: it is no alias."""
        return self.rules.overrides.alias(model, None)

    def _resolve_era(self, asked: _Query, era: int) -> Resolution:
        """Resolve at the last change before the span, as the versions in between say the same."""
        changes = self._changes.get(asked)
        if changes is None:
            changes = self._changes[asked] = self._eras_of_changes(asked)
        start = changes[bisect.bisect_right(changes, era) - 1] if era >= 0 else era
        found = self._resolved.get((asked, start))
        if found is None:
            found = self._resolved[asked, start] = self._resolve_names(asked, self.moment_of(start))
        if start == era or found.basis not in _OF_ITS_DAY:
            return found
        then, now = (self.rules.version_at(self.moment_of(number)) for number in (start, era))
        if then is None or now is None or found.version != then.name:
            return found
        return dataclasses.replace(found, version=now.name)

    def _eras_of_changes(self, asked: _Query) -> list[int]:
        """Return the numbers of the spans at whose start a name may come to mean something else."""
        if self.rules.overrides.moments or self.rules.pinned or self.rules.fixed is not None:
            return list(range(len(self.moments) + 1))
        names = [name for name in (asked.model, asked.requested) if name]
        names += filter(None, [self.rules.overrides.alias(name, None) for name in names])
        searches = (Search(self.rules, name, asked.provider, asked.region) for name in names)
        moments = {moment for search in searches for moment in search.changes()}
        return sorted({0, *(bisect.bisect_right(self.moments, moment) for moment in moments)})

    def _resolve_names(self, asked: _Query, moment: int | None) -> Resolution:
        found = self._resolve_name(asked.model, asked, moment)
        if found.key is None and asked.requested and asked.requested != asked.model:
            return self._resolve_name(asked.requested, asked, moment, rung="requested")
        return found

    def _resolve_name(self, model: str, asked: _Query, moment: int | None, rung: str = "") -> Resolution:
        alias, provider = self.rules.overrides.alias(model, moment), asked.provider
        if alias:
            model, provider, rung = alias, None, "alias"
        search = Search(self.rules, model, provider, asked.region)
        found = search.listing(moment)
        if found is None or self._tariff(found, moment).empty:  # a launch is listed late, or first without its rates
            found = search.later_listing(moment) or found or search.other_listing(moment)
        runner_up = None
        if found is not None and found.rung not in VERY_NAME and found.version in self._dated:
            own = search.own_listing(moment, found)
            runner_up, found = (found.key, own) if own else (None, found)
        named = search.says_another(found, moment)
        if found is None:
            return dataclasses.replace(UNKNOWN, named=named) if named else UNKNOWN
        tariff, rung = self._tariff(found, moment), rung or found.rung
        if tariff.empty:
            return Resolution(found.key, tariff, rung, reason="no_rate", entry=found.entry, named=named)
        discount = self.rules.overrides.discount(found.key, search.provider or tariff.provider, moment)
        factors = (discount,) if discount else ()
        place = None if search.region == asked.region else search.region
        return Resolution(
            found.key, tariff, rung, found.basis, found.version, None, factors, found.entry, place, named,
            found.corrections, runner_up,
        )  # fmt: skip

    def _tariff(self, found: Listing, moment: int | None) -> Tariff:
        then, listed = self.rules.moment_at(moment), self._dated.get(found.version)
        if then is None:  # as of the map, whose day is the newest or the one that was asked for
            then = self.rules.day
        factors = documented(str(found.entry.get("litellm_provider") or ""), found.key, then)
        note = found.name.note or (self.rules.catalog.lacks_region(found.key, listed) if listed else "")
        key = (id(found.entry), note, tuple(factors.values()))
        known = self._tariffs.get(key)
        if known is None:  # the entry is kept with it, so that its id is never another's
            tariff = read_tariff(found.entry, note, found.doubts, factors)
            if tariff.free and not tariff.local and listed and not is_free(found.key):
                tariff = dataclasses.replace(tariff, placeholder=True)
            known = self._tariffs[key] = (found.entry, tariff)
        return known[1]


def catalog_of(options: PriceOptions) -> Catalog:
    """Return the versions that options know of."""
    known_on = _known_on(options)
    return load_catalog() if known_on is None else load_catalog().until(known_on)


def _known_on(options: PriceOptions) -> int | None:
    return None if options.as_known is None else microseconds(options.as_known.isoformat())


def open_book(options: PriceOptions) -> Book:
    """Open the price book that options ask for; one per process is enough.

    Args:
        options: "as-of", "latest", a version's name or a date; and the user's own prices.

    Raises:
        PriceError: there is no such version, or one is damaged.
        ConfigError: the user's own prices cannot be read.
    """
    known_on, catalog = _known_on(options), catalog_of(options)
    overrides = load_overrides(options.override, force=options.force) if options.override else Overrides()
    tables = [load(options.corrections, catalog, known_on) for load in (load_corrections, load_others)]
    rules = Rules(catalog, overrides, registered=entries_of(options), corrections=tables[0], others=tables[1])
    if options.prices == AS_OF:
        return Book(rules)
    if options.prices == LATEST:
        return Book(dataclasses.replace(rules, latest=True))
    version = catalog.find(options.prices)
    if options.prices == version.name:
        return Book(dataclasses.replace(rules, pinned=version, corrections=None, others=None))
    return Book(dataclasses.replace(rules, fixed=microseconds(options.prices)))


def pin_book(name: str, entries: Mapping[str, Entry]) -> Book:
    """Open a book of the caller's own map: every call is priced by it, and by nothing else.

    Args:
        name: of the map, for ``price_version``.
        entries: model -> entry with exact decimals, as ``costmap.entry_of`` gives it.
    """
    return Book(Rules(load_catalog(), Overrides(), pinned=CostMap(name, entries)))
