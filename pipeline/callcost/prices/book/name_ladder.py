"""One way up the name ladder: which entry of which version a log's name means at a moment.

The ladder's names come from ``rungs.py``; here they are looked up, in the user's own prices, in what the program
registered and in the versions that apply. What the entry costs is left to ``rates.py``.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from callcost.models import PROVIDERS, accepts, names_itself, provider_of
from callcost.prices.book.catalog import Catalog, Version
from callcost.prices.book.corrections import OTHERS, Correction, Corrections
from callcost.prices.book.cost_map import CostMap, Entry
from callcost.prices.book.overrides import Overrides
from callcost.prices.book.rungs import Name, names_of
from callcost.prices.documented_factors import MOMENTS
from callcost.prices.tariffs import Doubt, read_tariff


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """Which versions price a call.

    Attributes:
        catalog: all versions.
        overrides: the user's own prices.
        pinned: the one map that every call is priced by, as LiteLLM of that day would have; None: see below.
        fixed: the moment as of which every call is priced, microseconds since 1970 UTC; None: its own.
        latest: every call is priced by the newest version.
        registered: models that go before every version; a pinned map has none.
        corrections: what lies over the versions; None, as where a map is pinned: nothing.
        others: what other tables say of models that no version lists; None: nothing.
    """

    catalog: Catalog
    overrides: Overrides
    pinned: CostMap | Version | None = None
    fixed: int | None = None
    latest: bool = False
    registered: Mapping[str, Entry] = dataclasses.field(default_factory=dict)
    corrections: Corrections | None = None
    others: Corrections | None = None

    def version_at(self, moment: int | None) -> Version | None:
        """Return the version that prices calls of a moment (None: undated); None: all versions are later."""
        then = self.moment_at(moment)
        return self.catalog.newest if then is None else self.catalog.version_at(then)

    def moment_at(self, moment: int | None) -> int | None:
        """Return the moment as of which calls of a moment (None: undated) are priced; None: now, whenever that is."""
        return None if self.latest else moment if self.fixed is None else self.fixed

    @property
    def day(self) -> int:
        """When the map that prices calls without a time came into force, microseconds since 1970."""
        version = self.pinned if isinstance(self.pinned, Version) else self.catalog.newest
        return version.effective_from

    @property
    def tables(self) -> list[Corrections]:
        """What there is beside the versions."""
        return [table for table in (self.corrections, self.others) if table]

    def known(self) -> Iterable[str]:
        """Return every model that can be priced by name."""
        if isinstance(self.pinned, CostMap):
            return self.pinned.entries
        return self.catalog.names(self.pinned) if self.pinned else [*self.registered, *self.catalog.models]

    def spellings(self, name: str) -> Iterable[str]:
        """Return the known names that are spelled like a name but for upper and lower case."""
        if not isinstance(self.pinned, CostMap):
            return self.catalog.spellings(name)
        return [model for model in self.pinned.entries if model.lower() == name.lower()]


class Listing(NamedTuple):
    """What a name means.

    Attributes:
        key: the model's name in the cost map.
        entry: its fields there.
        rung: how it was found.
        version: which map says so.
        basis: in_force | corrected | retired | first_listed_later | newest | other_table.
        name: of the ladder that was listed.
        corrections: the rows that changed the entry.
        doubts: what speaks against fields of the entry, by field with its path.
        dropped: no version lists it any more.
    """

    key: str
    entry: Entry
    rung: str
    version: str
    basis: str
    name: Name = Name("exact", "")
    corrections: tuple[Correction, ...] = ()
    doubts: Mapping[str, Doubt] = MappingProxyType({})
    dropped: bool = False


VERY_NAME = frozenset({"exact", "provider_added"})
SOON = 120 * 86_400_000_000  # microseconds in which maps list a model that was launched
_FREE = "rule"  # the version of what costs nothing by rule
_ZERO = Decimal(0)


# What its provider says is free, where the maps have 0: https://openrouter.ai/docs (variants and the free router),
# https://docs.z.ai/guides/overview/pricing, https://platform.openai.com/docs/guides/moderation
_SAID_FREE = re.compile(
    r".*[-:/]free|(?:zai/)?glm-4\.[57]-flash|(?:omni|text)-moderation-.*|"
    r"(?:hosted_vllm|lemonade|petals|triton|vllm|xinference)/.*",  # servers of the user's own
    re.IGNORECASE,
)


def is_free(model: str) -> bool:
    """Say whether a model of the maps costs nothing, as its provider says."""
    return _SAID_FREE.fullmatch(model) is not None


@functools.cache
def _free_entry(provider: str | None) -> Entry:
    return {"litellm_provider": provider, "input_cost_per_token": _ZERO, "output_cost_per_token": _ZERO}


# Where a name says where its model is served: https://docs.cloud.google.com/vertex-ai/docs/reference/rest (locations),
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
_PLACES = re.compile(r"(?:^|/)locations/([a-z0-9-]+)/|^(?:.*/)?arn:aws[^:]*:bedrock:([a-z0-9-]+):")


def region_of(model: str) -> str | None:
    """Return the region or location that a model's full name says.

    >>> region_of("projects/p/locations/europe-west1/publishers/google/models/gemini-2.5-flash")
    'europe-west1'
    """
    found = _PLACES.search(model)
    return found[1] or found[2] if found else None


class Search:
    """A search for one name.

    Attributes:
        provider: who serves the model, as cost maps spell it; None: nobody knows.
        region: where it is served, as the log or the name says; None: neither does.
    """

    def __init__(self, rules: Rules, model: str, provider: str | None, region: str | None) -> None:
        self._rules, self._model, self._stated = rules, model, provider
        self.provider = provider_of(provider, model)
        self.region = region or region_of(model)
        self._names = names_of(model, self.provider, self.region)

    def listing(self, moment: int | None) -> Listing | None:
        """Return what the version in force at a moment lists, or the last one that did.

        The very name, under its provider and plain, is one step: what is in force goes before a twin that was dropped,
        and of several that were dropped the last one that was.
        """
        dropped: list[Listing] = []
        for name in self._candidates():
            if dropped and name.rung not in VERY_NAME:
                break
            found = self._find(name, moment)
            if found is None or not self._may_price(name, found.entry):
                continue
            found = found._replace(rung=found.rung or name.rung, name=name)
            if not found.dropped or name.rung not in VERY_NAME:
                return found
            dropped.append(found)
        return max(dropped, key=lambda found: self._rules.catalog.find(found.version).index, default=None)

    def later_listing(self, moment: int | None) -> Listing | None:
        """Return the earliest listing after a moment that has a rate."""
        return self._later_listing(moment, () if self._rules.pinned else self._candidates())

    def other_listing(self, moment: int | None) -> Listing | None:
        """Return what other tables say of the very name, where no version ever lists any like it."""
        others, then = self._rules.others, self._rules.moment_at(moment)
        for name in self._names:
            laid = others.over(name.model, None, then) if others and name.rung in VERY_NAME else None
            if laid is not None and self._may_price(name, laid.entry):
                return Listing(name.model, laid.entry, name.rung, OTHERS, "other_table", name, laid.rows)
        return None

    def own_listing(self, moment: int | None, like: Listing) -> Listing | None:
        """Return the listing of the very name that came soon after a moment: maps list a launch late.

        Args:
            moment: of the call.
            like: the like name that was in force then. Where the two cost the same once both are listed, they are one
                price line, and what was in force holds.
        """
        then, catalog = self._rules.moment_at(moment), self._rules.catalog
        if then is None or self._rules.pinned:
            return None
        found = self._later_listing(moment, [name for name in self._names if name.rung in VERY_NAME])
        if found is None:
            return None
        listed = catalog.find(found.version)
        one, other = (catalog.entry(key, listed) for key in (like.key, found.key))
        same = one is not None and other is not None and read_tariff(one).rates == read_tariff(other).rates
        return None if same or listed.effective_from > then + SOON else found

    def _later_listing(self, moment: int | None, names: Iterable[Name]) -> Listing | None:
        version = self._rules.version_at(moment)
        for name in names:
            for listing, entry in self._rules.catalog.history(name.model):
                later = version is None or listing.index > version.index
                if later and entry is not None and self._may_price(name, entry) and not read_tariff(entry).empty:
                    found = Listing(name.model, entry, name.rung, listing.name, "first_listed_later", name)
                    corrected = self._correct(name.model, found, listing.effective_from) or found
                    return corrected._replace(rung=name.rung, basis=found.basis, name=name)
        return None

    def says_another(self, found: Listing | None, moment: int | None) -> str | None:
        """Return the provider that the name says where the log states another; None: they agree, or nobody knows."""
        if self._stated is None or self.provider not in PROVIDERS:
            return None
        if found is None:
            found = Search(self._rules, self._model, None, self.region).listing(moment)
            return str(found.entry.get("litellm_provider") or "") or None if found else None
        return found.name.claimed or None

    def changes(self) -> Iterator[int]:
        """Yield every moment at which a version or a correction says something new of one of the names."""
        for name in self._candidates():
            history = self._rules.catalog.history(name.model)
            yield from (version.effective_from for version, _ in history)
            yield from (version.effective_from - SOON for version, _ in history[: name.rung in VERY_NAME])
            for table in self._rules.tables:
                yield from table.changes(name.model)
        yield from MOMENTS

    def _candidates(self) -> Iterator[Name]:
        """Yield the ladder's names as they are, then however they are spelled."""
        names = [name for name in self._names if not (self._rules.pinned and name.rung == "maker")]
        yield from names
        for name in names:
            spellings = () if name.free else self._rules.spellings(name.model)
            yield from (name._replace(rung="case", model=spelled) for spelled in spellings if spelled != name.model)

    def _may_price(self, name: Name, entry: Entry) -> bool:
        listed, pinned = entry.get("litellm_provider"), bool(self._rules.pinned)
        if name.free or (name.model == self._model and not (self._stated or pinned)):
            return True  # the very name of the map, and nobody says that another serves it
        if pinned and not (self._stated or name.claimed) and not names_itself(name.model, listed):
            return False
        return accepts(name.provider, listed, pinned=pinned)

    def _find(self, name: Name, moment: int | None) -> Listing | None:
        """Return the listing of one name, the user's own rates laid over it."""
        if name.free:
            return Listing(name.model, _free_entry(name.provider), name.rung, _FREE, "in_force")
        found = self._find_in_maps(name.model, moment)
        own = self._rules.overrides.rates(name.model, moment)
        if own is None:
            return found
        entry = own.over(found.entry if found else None)
        return Listing(name.model, entry, "override", own.place, found.basis if found else "in_force")

    def _find_in_maps(self, model: str, moment: int | None) -> Listing | None:
        pinned, catalog = self._rules.pinned, self._rules.catalog
        if pinned:
            entry = pinned.entries.get(model) if isinstance(pinned, CostMap) else catalog.entry(model, pinned)
            return None if entry is None else Listing(model, entry, "", pinned.name, "in_force")
        if model in self._rules.registered:
            return Listing(model, self._rules.registered[model], "", "registered", "in_force")
        return self._correct(model, self._last_listing(model, moment), self._rules.moment_at(moment))

    def _last_listing(self, model: str, moment: int | None) -> Listing | None:
        version = self._rules.version_at(moment)
        last = self._rules.catalog.last_entry(model, version)
        if last is None:
            return None
        entry, listing = last
        if listing is not version:
            return Listing(model, entry, "", listing.name, "retired", dropped=True)
        undated = self._rules.latest or (moment is None and self._rules.fixed is None)  # nothing says by which else
        return Listing(model, entry, "", listing.name, "newest" if undated else "in_force")

    def _correct(self, model: str, found: Listing | None, then: int | None) -> Listing | None:
        """Lay the corrections of a moment (None: now) over what the maps list."""
        rules = self._rules
        if rules.corrections is None:
            return found
        laid = rules.corrections.over(model, found and found.entry, then, dropped=bool(found and found.dropped))
        if laid is None or not (laid.rows or laid.doubts):
            return found
        if found is not None and not laid.rows:
            return found._replace(entry=laid.entry, doubts=laid.doubts)
        version = rules.version_at(then)
        name = found.version if found else version.name if version else "corrections"
        dropped = bool(found and found.dropped)
        return Listing(model, laid.entry, "", name, "corrected", Name("exact", model), laid.rows, laid.doubts, dropped)
