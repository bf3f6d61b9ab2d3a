"""All price versions, bundled and the user's own: which was in force when, and what each said about a model.

Holds one timeline per model, of entries not yet parsed: pricing one date parses the entries that are asked
for and no others. How a log's name becomes a map's name, and which of several versions prices a call, is left
to ``book.py``.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path

import msgspec

from callcost.arguments import nearest
from callcost.data_folders import data_dir, user_data_dir
from callcost.errors import PriceError
from callcost.models import nearest as nearest_names
from callcost.prices.book.archive import (
    DROPPED,
    INDEX,
    REPAIR,
    Change,
    IndexLine,
    add_version,
    isoformat,
    microseconds,
    read_changes,
    read_index,
)
from callcost.prices.book.cost_map import Entry, map_digest, parse_entry

_NO_REGION = "the map has the rate of the global profile: in its region, Claude costs 10 % more"
_Timeline = list[tuple[int, msgspec.Raw]]  # (index of the version, entry from there on), in order
BUNDLED_ONLY = "LITELLM_LOCAL_MODEL_COST_MAP"  # LiteLLM's switch: only the map that came with the package


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Version:
    """One dated cost map, without its entries.

    Attributes:
        index: place in the catalog, oldest 0.
        name: such as "litellm-1.106.4".
        effective_from: microseconds since 1970, UTC.
        source: where the map was published.
        sha256: digest of the map's canonical text.
        origin: "bundled" or "user".
        known_from: when the book came to have it, microseconds since 1970, UTC.
    """

    index: int
    name: str
    effective_from: int
    source: str
    sha256: str
    origin: str
    known_from: int

    @property
    def effective_text(self) -> str:
        """The moment as ISO 8601 text, UTC."""
        return isoformat(self.effective_from)


class Catalog:
    """Every version, oldest first, and what each says of every model.

    Attributes:
        versions: oldest first; of two with the same moment the one added later comes later.
        models: every name that any version lists, as its map spells it.
    """

    def __init__(self, versions: tuple[Version, ...], timelines: dict[str, _Timeline]) -> None:
        self.versions = versions
        self.models = timelines.keys()
        self._timelines = timelines
        self._moments = [version.effective_from for version in versions]
        self._parsed: dict[tuple[str, int], Entry] = {}
        self._spellings: dict[str, list[str]] | None = None

    @property
    def newest(self) -> Version:
        """The version in force from now on."""
        return self.versions[-1]

    def version_at(self, moment: int) -> Version | None:
        """Return the version in force at a moment (microseconds since 1970), None before the first."""
        place = bisect.bisect_right(self._moments, moment)
        return self.versions[place - 1] if place else None

    def until(self, moment: int) -> Catalog:
        """Return the catalog as it was known at a moment (microseconds since 1970): without what came to it later.

        Raises:
            PriceError: there was none yet.
        """
        known = [version for version in self.versions if version.known_from <= moment]
        if not known:
            message = f"no price version was known on {isoformat(moment)}"
            raise PriceError(message, hint=f"The first one is of {self.versions[0].effective_text}")
        indices = [version.index for version in known]
        timelines = {model: _steps_among(indices, steps) for model, steps in self._timelines.items()}
        versions = tuple(dataclasses.replace(version, index=number) for number, version in enumerate(known))
        return Catalog(versions, {model: steps for model, steps in timelines.items() if steps})

    def find(self, words: str) -> Version:
        """Return the version of a name, the one in force at a date (its first moment, UTC), or the "latest".

        Raises:
            PriceError: there is no such version, or none was in force then.
        """
        for version in self.versions:
            if version.name == words:
                return version
        if words == "latest":
            return self.newest
        try:
            moment = microseconds(words)
        except ValueError:
            near = nearest(words, ("latest", "as-of"))  # versions' names are all near each other: three are named
            message = f"no price version {words!r}" + (f"; did you mean {near!r}?" if near else "")
            named = "" if near else ", ".join(nearest_names(words, [version.name for version in self.versions]))
            hint = f"Near: {named}; see `callcost prices list`" if named else "See `callcost prices list`"
            raise PriceError(message, hint=hint) from None
        version_then = self.version_at(moment)
        if version_then is None:
            message = f"no price version was in force on {words}"
            raise PriceError(message, hint=f"The first one is of {self.versions[0].effective_text}")
        return version_then

    def entry(self, model: str, version: Version | None) -> Entry | None:
        """Return what a version says of a model, None where it does not list it."""
        steps, place = self._steps(model, version)
        return self._parse(model, *steps[place - 1]) if place else None

    def last_entry(self, model: str, version: Version | None) -> tuple[Entry, Version] | None:
        """Return a model's last listing up to a version, its own included: the entry and its last version.

        A model that answers never becomes one that embeds: such a listing is a template that took its name.
        """
        steps, place = self._steps(model, version)
        newest, until = place, version
        while place and until is not None:
            entry = self._parse(model, *steps[place - 1])
            if place < newest:
                until = self.versions[steps[place][0] - 1]
            if entry is not None and not (_embeds(entry) and not _embeds(self._parse(model, *steps[0]))):
                return entry, until
            place -= 1
        return None

    def lacks_region(self, model: str, version: Version) -> str:
        """Return why a bare name of Claude on Bedrock may cost more than a version says; "": it does not.

        Such a name is served in its region, which costs 10 % more than the global profile since Claude Sonnet 4.5;
        the maps have the global profile's rate for it, and many logs name the bare model whatever served it.
        https://github.com/BerriAI/litellm/issues/42679 (AWS's own price list), https://aws.amazon.com/bedrock/pricing/
        """
        if not model.startswith("anthropic."):
            return ""
        rates = [
            entry.get("input_cost_per_token") if entry else None
            for entry in (self.entry(f"{place}{model}", version) for place in ("", "global.", "us."))
        ]
        bare, world, place = rates
        return _NO_REGION if bare and bare == world and place and place > bare else ""

    def history(self, model: str) -> list[tuple[Version, Entry | None]]:
        """Return every version in which a model's entry changed, with the new entry; None: dropped."""
        steps = self._timelines.get(model, ())
        return [(self.versions[index], self._parse(model, index, raw)) for index, raw in steps]

    def names(self, version: Version) -> Iterator[str]:
        """Yield the models that a version lists."""
        return (model for model, _ in _entries_at(self._timelines, version.index))

    def sizes(self) -> list[int]:
        """Return how many models each version lists."""
        changes = [0] * len(self.versions)
        for steps in self._timelines.values():
            for index, raw in steps:
                changes[index] += -1 if raw == DROPPED else 1
            for (_, before), (index, raw) in itertools.pairwise(steps):
                changes[index] -= DROPPED not in (before, raw)  # a change, no new listing
        return list(itertools.accumulate(changes))

    def spellings(self, name: str) -> list[str]:
        """Return every model ever listed that is spelled like the name but for upper and lower case."""
        if self._spellings is None:
            self._spellings = {}
            for model in self._timelines:
                self._spellings.setdefault(model.lower(), []).append(model)
        return self._spellings.get(name.lower(), [])

    def map_of(self, version: Version) -> dict[str, Entry]:
        """Return all entries of a version by model: every one is parsed, which takes a moment."""
        return {model: parse_entry(raw) for model, raw in _entries_at(self._timelines, version.index)}

    def digest_of(self, version: Version) -> str:
        """Return the digest of what is stored, to compare with the version's ``sha256``."""
        return map_digest(_entries_at(self._timelines, version.index))

    def _steps(self, model: str, version: Version | None) -> tuple[_Timeline, int]:
        steps = self._timelines.get(model, [])
        return steps, bisect.bisect_right(steps, version.index, key=itemgetter(0)) if version else 0

    def _parse(self, model: str, index: int, raw: msgspec.Raw) -> Entry | None:
        if raw == DROPPED:
            return None
        entry = self._parsed.get((model, index))
        if entry is None:
            entry = self._parsed[model, index] = parse_entry(raw)
        return entry


def load_catalog() -> Catalog:
    """Load the bundled versions and the user's own, once per process and state of the user's versions.

    With LiteLLM's ``LITELLM_LOCAL_MODEL_COST_MAP=true`` the user's are left out.

    Raises:
        PriceError: a version is missing or damaged.
    """
    folder = None if os.environ.get(BUNDLED_ONLY, "").lower() in {"true", "1"} else user_prices()
    stamp = _stamp(folder)
    return _load(data_dir() / "prices", folder if stamp else None, stamp)


def user_prices() -> Path:
    """Return the folder of the user's own price versions; it need not exist."""
    return user_data_dir() / "prices"


def add_map(
    entries: Mapping[str, bytes],
    *,
    name: str,
    effective_from: int,
    source: str,
    folder: Path,
    known_from: int | None = None,
) -> None:
    """Add a whole map as a version of a folder, as changes against the folder's version before it.

    Args:
        entries: model name -> canonical entry text, as ``split_map`` gives it.
        name: of the version.
        effective_from: microseconds since 1970, UTC.
        source: where the map was published.
        folder: ``user_prices()``, or the bundled one when the package is made.
        known_from: when the folder comes to have it, microseconds since 1970, UTC; None: when it comes into force.

    Raises:
        PriceError: the name is taken, or the folder cannot be written.
    """
    catalog = build_catalog([("user", folder)])
    base = catalog.version_at(effective_from)
    changes = dict(entries)
    for model, raw in _entries_at(catalog._timelines, base.index) if base else ():
        if model not in entries:
            changes[model] = bytes(DROPPED)
        elif bytes(raw) == entries[model]:
            del changes[model]
    line = IndexLine(
        name=name,
        effective_from=isoformat(effective_from),
        source=source,
        sha256=map_digest(entries.items()),
        base=base.name if base else None,
        known_from=None if known_from in (None, effective_from) else isoformat(known_from),
    )
    add_version(folder, line, changes)


def build_catalog(folders: Iterable[tuple[str, Path]]) -> Catalog:
    """Bring the versions of several folders into one order.

    Args:
        folders: (origin, folder) pairs; at one moment, the later pair's version comes later.

    Raises:
        PriceError: a version is missing or damaged.
    """
    found = [
        (microseconds(line.effective_from), rank, number, origin, folder, line)
        for rank, (origin, folder) in enumerate(folders)
        for number, line in enumerate(read_index(folder))
    ]
    versions: list[Version] = []
    timelines: dict[str, _Timeline] = {}
    places: dict[tuple[Path, str | None], int] = {}
    for index, (moment, _, _, origin, folder, line) in enumerate(sorted(found, key=itemgetter(0, 1, 2))):
        changes: Iterable[Change] = read_changes(folder, line.name)
        base = -1 if line.base is None else places.get((folder, line.base))
        if base is None:
            message = f"the price version {line.name} builds on {line.base}, which is not in {folder}"
            raise PriceError(message, hint=REPAIR)
        if base != index - 1:  # another folder's version came between: write the difference to that
            changes = _rebase(timelines, index - 1, base, changes)
        for change in changes:
            timelines.setdefault(change.model, []).append((index, change.entry))
        known_from = moment if line.known_from is None else microseconds(line.known_from)
        versions.append(Version(index, line.name, moment, line.source, line.sha256, origin, known_from))
        places[folder, line.name] = index
    return Catalog(tuple(versions), timelines)


def _rebase(timelines: dict[str, _Timeline], now: int, base: int, changes: Iterable[Change]) -> list[Change]:
    """Turn changes against the map at ``base`` into changes against the map at ``now``."""
    old = dict(_entries_at(timelines, now))
    new = dict(_entries_at(timelines, base))
    for change in changes:
        new[change.model] = change.entry
    return [
        Change(model, new.get(model, DROPPED))
        for model in dict.fromkeys([*old, *new])
        if old.get(model, DROPPED) != new.get(model, DROPPED)
    ]


def _steps_among(indices: Sequence[int], steps: _Timeline) -> _Timeline:
    """Return a model's timeline over some of the versions, which are numbered anew.

    Args:
        indices: of the versions that stay, ascending.
        steps: the model's timeline over all.
    """
    entries: dict[int, msgspec.Raw] = {}
    for index, raw in steps:  # of several that begin between two versions that stay, the last holds
        entries[bisect.bisect_left(indices, index)] = raw
    found: _Timeline = []
    for number, raw in entries.items():
        if number < len(indices) and raw != (found[-1][1] if found else DROPPED):
            found.append((number, raw))
    return found


def _embeds(entry: Entry | None) -> bool:
    return entry is not None and entry.get("mode") == "embedding"


def _entries_at(timelines: dict[str, _Timeline], index: int) -> Iterator[tuple[str, msgspec.Raw]]:
    """Yield the models that the version of an index lists, with their entries."""
    for model, steps in timelines.items():
        place = bisect.bisect_right(steps, index, key=itemgetter(0))
        if place and steps[place - 1][1] != DROPPED:
            yield model, steps[place - 1][1]


@functools.lru_cache(maxsize=4)
def _load(bundled: Path, own: Path | None, stamp: tuple[int, int] | None) -> Catalog:
    return build_catalog([("bundled", bundled), *([("user", own)] if own else [])])


def _stamp(folder: Path | None) -> tuple[int, int] | None:
    """Return what changes when a version is added to the folder; None where there are no versions."""
    try:
        state = (folder / INDEX).stat() if folder else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return (0, 0)  # reading the index says why
    return (state.st_mtime_ns, state.st_size) if state else None
