"""The price book: which entry of which version prices a call, and at which rates.

Brings together the versions of ``catalog.py``, the user's own prices of ``overrides.py`` and the name ladder of
``models.py``. Rates under given terms are made by ``rates.py``; how much is charged at them is left to the readers,
``charges.py`` and ``stages/price.py``.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from pipeline.models import (
    PROVIDERS,
    Name,
    accepts,
    makers_name,
    names_itself,
    names_of,
    nearest,
    provider_of,
)
from pipeline.prices.archive import microseconds
from pipeline.prices.catalog import Catalog, Version, load_catalog
from pipeline.prices.costmap import CostMap, Entry
from pipeline.prices.overrides import Overrides, load_overrides
from pipeline.prices.rates import Case, Factors, RateCard, Terms, case_of
from pipeline.prices.registered import registered
from pipeline.prices.tariffs import Tariff, read_tariff
from pipeline.settings import PriceOptions

AS_OF, LATEST = "as-of", "latest"


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Resolution:
    """What prices a model at a moment, or why nothing does.

    Attributes:
        key: the model's name in the cost map; None: no version that applies lists it.
        tariff: its entry, read; None: unknown.
        rung: the step of the name ladder that found it.
        basis: in_force | retired | first_listed_later | newest; None: unpriced.
        version: name of the cost map that prices it; None: unpriced.
        reason: why it is unpriced: unknown_model | no_rate; None: it is priced.
        discount: what the user's own prices take off.
        entry: the fields as the map, or the user's own prices, have them.
    """

    key: str | None = None
    tariff: Tariff | None = None
    rung: str | None = None
    basis: str | None = None
    version: str | None = None
    reason: str | None = None
    discount: Factors = ()
    entry: Entry | None = None


class _Found(NamedTuple):
    key: str
    entry: Entry
    rung: str
    version: str
    basis: str


_BEFORE_ALL = -(2**63)
UNKNOWN = Resolution(reason="unknown_model")


class Book:
    """Prices of every moment, by the rules that the options set.

    Attributes:
        catalog: all versions.
        overrides: the user's own prices.
        pinned: the one map that every call is priced by, as LiteLLM of that day would have; None: see ``fixed``.
        fixed: the moment as of which every call is priced; None: its own.
        moments: when anything changes, ascending: between two of them a name resolves to the same.
    """

    def __init__(
        self,
        catalog: Catalog,
        overrides: Overrides,
        *,
        pinned: CostMap | Version | None = None,
        fixed: int | None = None,
        latest: bool = False,
    ) -> None:
        self.catalog, self.overrides = catalog, overrides
        self.pinned, self.fixed, self.latest = pinned, fixed, latest
        starts = () if pinned or latest or fixed is not None else (v.effective_from for v in catalog.versions)
        self.moments = sorted({*starts, *overrides.moments})
        self._resolved: dict[tuple[str, str | None, str | None, str | None, int], Resolution] = {}
        self._tariffs: dict[int, tuple[Entry, Tariff]] = {}
        self._cards: dict[tuple[Tariff, Case], RateCard] = {}

    def era(self, at: int | None) -> int:
        """Return the number of the span between two of the ``moments`` that a call falls in; -1: it has no time."""
        if self.latest or self.pinned:
            at = None if not self.overrides.moments else at
        elif self.fixed is not None:
            at = self.fixed
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
        era = self.era(at)
        key = (model, provider, region, requested, era)
        found = self._resolved.get(key)
        if found is None:
            found = self._resolve(model, provider, region, era)
            if found.key is None and requested and requested != model:
                found = self._resolve(requested, provider, region, era, rung="requested")
            self._resolved[key] = found
        return found

    def rates(self, resolution: Resolution, terms: Terms) -> RateCard | None:
        """Return the rate card of what was resolved under given terms; None: nothing was."""
        if resolution.tariff is None:
            return None
        case = case_of(resolution.tariff, terms, resolution.discount)
        card = self._cards.get((resolution.tariff, case))
        if card is None:
            card = self._cards[resolution.tariff, case] = RateCard(resolution.tariff, case)
        return card

    def suggest(self, model: str) -> list[str]:
        """Return the known names nearest to an unknown one, for messages."""
        return nearest(model, self.known())

    def known(self) -> Iterable[str]:
        """Return every model that the book can price by name."""
        if isinstance(self.pinned, CostMap):
            return self.pinned.entries
        return self.catalog.names(self.pinned) if self.pinned else self.catalog.models

    def _resolve(
        self, model: str, provider: str | None, region: str | None, era: int, rung: str = ""
    ) -> Resolution:
        moment = self.moment_of(era)
        alias = self.overrides.alias(model, moment)
        if alias:
            model, provider, rung = alias.model, None, "alias"
        search = _Search(self, model, provider, region, moment)
        found = search.own_price() or search.listing()
        tariff = found and self._tariff(found.entry)
        if tariff is None or tariff.empty:  # what is listed without a rate may get one later, as a launch does
            later = search.later_listing()
            found, tariff = (later, self._tariff(later.entry)) if later else (found, tariff)
        if found is None or tariff is None:
            return UNKNOWN
        if tariff.empty:
            return Resolution(found.key, tariff, rung or found.rung, reason="no_rate", entry=found.entry)
        discount = self.overrides.discount(found.key, search.provider or tariff.provider, moment)
        factors = ((discount.place, discount.factor),) if discount else ()
        return Resolution(
            found.key, tariff, rung or found.rung, found.basis, found.version, None, factors, found.entry
        )

    def _tariff(self, entry: Entry) -> Tariff:
        known = self._tariffs.get(id(entry))
        if known is None:  # the entry is kept with it, so that its id is never another's
            known = self._tariffs[id(entry)] = (entry, read_tariff(entry))
        return known[1]

    def version_at(self, moment: int | None) -> Version | None:
        """Return the version that prices calls of a moment; None: all are later, or one map is pinned."""
        then = moment if self.fixed is None else self.fixed
        return self.catalog.newest if self.latest or then is None else self.catalog.version_at(then)

    def spellings(self, name: str) -> Iterable[str]:
        """Return the known names that are spelled like a name but for upper and lower case."""
        if not isinstance(self.pinned, CostMap):
            return self.catalog.spellings(name)
        return [model for model in self.pinned.entries if model.lower() == name.lower()]


class _Search:
    """One way up the ladder."""

    def __init__(
        self, book: Book, model: str, provider: str | None, region: str | None, moment: int | None
    ) -> None:
        self.book, self.model, self.stated, self.moment = book, model, provider, moment
        self.provider = provider_of(provider, model)
        self.names = names_of(model, self.provider, region)

    def own_price(self) -> _Found | None:
        """Return the user's own rates, over what the map lists."""
        for name in self.names:
            own = self.book.overrides.rates(name.model, self.moment)
            if own:
                base = self._listed(name.model)
                return _Found(name.model, own.over(base.entry if base else None), "override", own.place, "in_force")
        return None

    def listing(self) -> _Found | None:
        """Return what the version in force lists, or was the last to list."""
        return next(filter(None, map(self._priced, self._candidates())), None)

    def later_listing(self) -> _Found | None:
        """Return the earliest later listing that has a rate."""
        book = self.book
        if book.pinned:
            return None
        version = book.version_at(self.moment)
        for name in self._candidates():
            for listing, entry in book.catalog.history(name.model):
                later = entry is not None and (version is None or listing.index > version.index)
                if later and entry is not None and self._may_price(name, entry) and not read_tariff(entry).empty:
                    return _Found(name.model, entry, name.rung, listing.name, "first_listed_later")
        return None

    def _candidates(self) -> Iterator[Name]:
        """Yield the ladder's names as they are, then however they are spelled, then the maker's own."""
        yield from self.names
        for name in self.names:
            yield from (Name("case", spelled) for spelled in self.book.spellings(name.model) if spelled != name.model)
        maker = None if self.book.pinned or self.provider in PROVIDERS else makers_name(self.model)
        if maker:
            yield maker

    def _priced(self, name: Name) -> _Found | None:
        found = self._listed(name.model)
        return found._replace(rung=name.rung) if found and self._may_price(name, found.entry) else None

    def _may_price(self, name: Name, entry: Entry) -> bool:
        listed = entry.get("litellm_provider")
        if name.rung == "maker":
            return True
        if self.book.pinned and not self.stated and not names_itself(name.model, listed):
            return False
        return accepts(self.provider, listed, pinned=bool(self.book.pinned))

    def _listed(self, model: str) -> _Found | None:
        book = self.book
        own = None if book.pinned else registered().get(model)
        if own is not None:
            return _Found(model, own, "", "registered", "in_force")
        if isinstance(book.pinned, CostMap):
            entry = book.pinned.entries.get(model)
            return None if entry is None else _Found(model, entry, "", book.pinned.name, "in_force")
        if book.pinned:
            entry = book.catalog.entry(model, book.pinned)
            return None if entry is None else _Found(model, entry, "", book.pinned.name, "in_force")
        version = book.version_at(self.moment)
        last = book.catalog.last_entry(model, version)
        if last is None:
            return None
        entry, listing = last
        now = "newest" if book.latest or (self.moment is None and book.fixed is None) else "in_force"
        return _Found(model, entry, "", listing.name, now if listing is version else "retired")


def open_book(options: PriceOptions) -> Book:
    """Open the price book that options ask for; one per process is enough.

    Args:
        options: "as-of", "latest", a version's name or a date; and the user's own prices.

    Raises:
        PriceError: there is no such version, or one is damaged.
        ConfigError: the user's own prices cannot be read.
    """
    catalog = load_catalog()
    overrides = load_overrides(options.override) if options.override else Overrides()
    if options.prices == AS_OF:
        return Book(catalog, overrides)
    if options.prices == LATEST:
        return Book(catalog, overrides, latest=True)
    version = catalog.find(options.prices)
    if options.prices == version.name:
        return Book(catalog, overrides, pinned=version)
    return Book(catalog, overrides, fixed=microseconds(options.prices))


def pin_book(name: str, entries: Mapping[str, Entry]) -> Book:
    """Open a book of the caller's own map: every call is priced by it, and by nothing else.

    Args:
        name: of the map, for ``price_version``.
        entries: model -> entry with exact decimals, as ``costmap.entry_of`` gives it.
    """
    return Book(load_catalog(), Overrides(), pinned=CostMap(name, 0, name, "", entries))
