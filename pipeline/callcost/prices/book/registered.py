"""Models that the caller's own program registered: they go before every version, whatever the moment of a call.

``helpers/registry.py`` fills it. A book knows them by its options, so that they reach worker processes with those.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from callcost.prices.book.cost_map import Entry, parse_entry
from callcost.settings import PriceOptions

_entries: dict[str, Entry] = {}
_options: dict[PriceOptions, PriceOptions] = {}  # what with_registered returned, until something else is registered
_ENCODER = msgspec.json.Encoder(decimal_format="string")


def register(models: Mapping[str, tuple[Entry, Entry | None]]) -> None:
    """Lay fields over models' entries, from now on.

    Args:
        models: name as a cost map has it -> (fields of the cost map, what is known of the model; None: nothing), with
            exact decimals.
    """
    _entries.update((model, MappingProxyType({**(base or {}), **fields})) for model, (fields, base) in models.items())
    _options.clear()


def registered() -> Mapping[str, Entry]:
    """Return what is registered, model -> entry."""
    return MappingProxyType(_entries)


def with_registered(options: PriceOptions) -> PriceOptions:
    """Return options that say what is registered now, beside what they say already."""
    if not _entries:
        return options
    known = _options.get(options)
    if known is None:
        known = _options[options] = options_with(options, _entries)
    return known


def options_with(options: PriceOptions, entries: Mapping[str, Entry]) -> PriceOptions:
    """Return options that say, beside what they say already, that entries go before every version."""
    fields = {model: _ENCODER.encode(dict(entry)).decode() for model, entry in entries.items()}
    both = tuple(sorted({**dict(options.registered), **fields}.items()))
    return dataclasses.replace(options, registered=both)


def entries_of(options: PriceOptions) -> Mapping[str, Entry]:
    """Return what options say is registered."""
    return {model: parse_entry(fields.encode()) for model, fields in options.registered}
