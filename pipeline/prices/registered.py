"""Models that the caller's own program registered: they go before every version, in every book of the process.

``helpers/registry.py`` fills it, ``book.py`` reads it. ``snapshot`` and ``restore`` carry it to a worker process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from pipeline.prices.costmap import Entry, entry_of

_entries: dict[str, Entry] = {}
_state = [0]


def register(models: Mapping[str, tuple[Mapping[str, Any], Entry | None]]) -> None:
    """Lay fields over models' entries, from now on and whatever the moment of a call.

    Args:
        models: name as a cost map has it -> (fields of the cost map, what is known of the model; None: nothing);
            numbers may be floats or text.
    """
    _entries.update(
        (model, MappingProxyType({**(base or {}), **entry_of(fields)})) for model, (fields, base) in models.items()
    )
    _state[0] += 1


def registered() -> Mapping[str, Entry]:
    """Return what is registered, model -> entry."""
    return MappingProxyType(_entries)


def registrations() -> int:
    """Return a number that changes with every registration."""
    return _state[0]


def snapshot() -> tuple[tuple[str, bytes], ...]:
    """Return what is registered in a form that can be pickled."""
    return tuple((model, _ENCODER.encode(dict(entry))) for model, entry in sorted(_entries.items()))


def restore(models: Iterable[tuple[str, bytes]]) -> None:
    """Register what another process registered."""
    register({model: (_DECODER.decode(fields), None) for model, fields in models})


_ENCODER = msgspec.json.Encoder(decimal_format="string")
_DECODER = msgspec.json.Decoder(dict[str, Any])
