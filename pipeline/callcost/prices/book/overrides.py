"""The user's own prices: negotiated rates, discounts and aliases, from a TOML or JSON file.

    [rates."gpt-4o"]                    fields of the cost map, laid over the map's entry; dollars per unit
    input_cost_per_token = 2e-6
    effective_from = 2025-03-01         optional everywhere; without it: always
    replace = true                      optional: the map's other fields of the model do not count

    [[discounts]]                       per cent off the list price, by provider or by model; the model's wins
    provider = "openai"
    percent = 12.5

    [aliases]                           a name of a log -> the model that it stands for
    "my-deployment" = "azure/gpt-4o"
    "team-profile" = { model = "claude-opus-4-20250514", effective_from = 2025-06-01 }

A model's rates, a discount and an alias may each be given several times with other dates (a list of tables); the
latest that has begun holds, and a call without a time takes the newest. Which name is looked up is left to ``book.py``.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from callcost.errors import ConfigError
from callcost.prices.book.archive import microseconds
from callcost.prices.book.cost_map import Entry, entry_of, is_number, rate
from callcost.prices.book.faults import DEAR_HINT, first_fault
from callcost.prices.units import STRUCTURED, is_cost_field, place_field

_ALWAYS = -(2**63)  # before every call
Item = TypeVar("Item")
_HELP = "Its sections are rates, discounts and aliases: see the README"


class Rates(NamedTuple):
    """A model's own rates.

    Attributes:
        fields: fields of the map; amounts are Decimals.
        replace: whether the map's other fields of the model do not count.
        place: where they are written, for `explain` and the manifest: file, section and key.
    """

    fields: Entry
    replace: bool
    place: str

    def over(self, entry: Entry | None) -> Entry:
        """Return a model's entry of the map (None: it has none) with these rates over it."""
        return self.fields if self.replace or entry is None else MappingProxyType({**entry, **self.fields})


class Discount(NamedTuple):
    """Per cent off every rate of a provider or a model: one of the factors of a rate card.

    Attributes:
        place: where it is written.
        factor: what is left, such as 0.875 of 12.5 % off.
    """

    place: str
    factor: Decimal


class Row(NamedTuple):
    """One override, before it is filed."""

    kind: str  # rates | alias | model discount | provider discount
    name: str
    begins: int
    item: Any


class Overrides:
    """What an override file says.

    Attributes:
        path: of the file, as it was given; "" if there is none.
        sha256: of the file's bytes.
    """

    def __init__(self, path: str = "", sha256: str = "", rows: Iterable[Row] = ()) -> None:
        self.path = path
        self.sha256 = sha256
        self._items: dict[tuple[str, str], list[tuple[int, Any]]] = {}
        for row in sorted(rows, key=lambda row: row.begins):
            self._items.setdefault((row.kind, row.name), []).append((row.begins, row.item))

    @property
    def moments(self) -> set[int]:
        """When any of them begins to hold, microseconds since 1970."""
        return {begins for dated in self._items.values() for begins, _ in dated if begins != _ALWAYS}

    def rates(self, model: str, moment: int | None) -> Rates | None:
        """Return a model's own rates at a moment (microseconds since 1970; None: the newest)."""
        return self._at("rates", model, moment, Rates)

    def alias(self, name: str, moment: int | None) -> str | None:
        """Return the model that a name stands for at a moment."""
        return self._at("alias", name, moment, str)

    def discount(self, model: str, provider: str | None, moment: int | None) -> Discount | None:
        """Return the discount on a model at a moment: its own, else its provider's."""
        own = self._at("model discount", model, moment, Discount)
        return own or self._at("provider discount", provider or "", moment, Discount)

    def without_discounts(self) -> Overrides:
        """Return the same without discounts; itself where there are none."""
        kept = {key: dated for key, dated in self._items.items() if not key[0].endswith("discount")}
        if len(kept) == len(self._items):
            return self
        plain = Overrides(self.path, self.sha256)
        plain._items = kept
        return plain

    def _at(self, kind: str, name: str, moment: int | None, shape: type[Item]) -> Item | None:
        dated = self._items.get((kind, name), ())
        begun = [item for begins, item in dated if moment is None or begins <= moment]
        return begun[-1] if begun and isinstance(begun[-1], shape) else None


def load_overrides(path: str | Path, *, force: bool = False) -> Overrides:
    """Read an override file.

    Args:
        path: TOML, or JSON of the same shape.
        force: take rates above one dollar a token.

    Raises:
        ConfigError: the file cannot be read, or one of its keys is wrong; names the file and the key.
    """
    try:
        text = Path(path).read_bytes()
        rows = list(_read(_decode(text), Path(path).name, force=force))
        _check_aliases(rows)
    except OSError as error:
        raise ConfigError(f"cannot read the prices of {path} ({error.strerror or error})") from error
    except _WrongKeyError as wrong:
        raise ConfigError(f"{path}: {wrong}", hint=wrong.hint) from wrong
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply", hint=_HELP) from None
    return Overrides(str(path), hashlib.sha256(text).hexdigest(), rows)


class _WrongKeyError(Exception):
    """A key of the file is wrong; says which and why, and what to do."""

    def __init__(self, message: str, hint: str = _HELP) -> None:
        super().__init__(message)
        self.hint = hint


def _decode(text: bytes) -> dict[str, Any]:
    try:
        words = text.decode("utf-8-sig")
        if words.lstrip().startswith("{"):
            return dict(json.loads(words, parse_float=Decimal))
        return tomllib.loads(words, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise _WrongKeyError(f"is neither TOML nor JSON ({error})") from error


def _read(content: Mapping[str, Any], file: str, *, force: bool) -> Iterator[Row]:
    for section, tables in content.items():
        if section not in _SECTIONS:
            raise _WrongKeyError(f"{section}: there is no such section")
        cut, read = _SECTIONS[section]
        for key, name, table in cut(section, tables):
            yield read(_Table(key, name, table, f"{file}: {key}", force))


class _Table(NamedTuple):
    """One table of the file.

    Attributes:
        key: where it stands in the file.
        name: what it is about; "" where the table itself says so.
        fields: of the table; who reads one takes it out.
        place: file and key, for `explain` and the manifest.
        force: whether rates above one dollar a token are taken.
    """

    key: str
    name: str
    fields: dict[str, Any]
    place: str
    force: bool


def _read_rates(table: _Table) -> Row:
    key, given = table.key, table.fields
    begins, replace = _begins(key, given), given.pop("replace", False)
    if not isinstance(replace, bool):
        raise _WrongKeyError(f"{key}.replace: {replace!r} is not true or false")
    if not any(map(is_cost_field, given)):
        raise _WrongKeyError(f"{key}: holds no rate, such as input_cost_per_token")
    for field in given:
        if is_cost_field(field) and field not in STRUCTURED and place_field(field) is None:
            raise _WrongKeyError(f"{key}.{field}: no price is called that")
    fault = first_fault(given, force=table.force)
    if fault:
        raise _WrongKeyError(f"{key}.{fault}", f"{DEAR_HINT}; --force takes them" if fault.dear else _HELP)
    return Row("rates", table.name, begins, Rates(entry_of(given), replace, table.place))


def _read_discount(table: _Table) -> Row:
    key, rest = table.key, table.fields
    begins, given = _begins(key, rest), rest.pop("percent", None)
    percent = _percent(given)
    if percent is None:
        raise _WrongKeyError(f"{key}.percent: {given!r} is not a number from 0 to 100")
    named = all(isinstance(value, str) and value.strip() for value in rest.values())
    if set(rest) not in ({"provider"}, {"model"}) or not named:
        raise _WrongKeyError(f'{key}: a discount is for one provider = "..." or one model = "..."')
    ((kind, name),) = rest.items()
    return Row(f"{kind} discount", name, begins, Discount(table.place, 1 - percent / 100))


def _percent(given: Any) -> Decimal | None:
    """Return a percentage from 0 to 100; None: it is none."""
    try:
        percent = rate(given) if is_number(given) else None
    except ArithmeticError:
        return None
    return percent if percent is not None and percent.is_finite() and 0 <= percent <= 100 else None


def _read_alias(table: _Table) -> Row:
    key, rest = table.key, table.fields
    begins, model = _begins(key, rest), rest.pop("model", None)
    if not isinstance(model, str) or not model.strip() or rest:
        raise _WrongKeyError(f'{key}: an alias is a model in quotes, or {{ model = "...", effective_from = ... }}')
    return Row("alias", table.name, begins, model)


def _check_aliases(rows: Iterable[Row]) -> None:
    """Refuse names that stand for each other: neither is a model, whatever their dates."""
    aliases: dict[str, list[str]] = {}
    for row in rows:
        if row.kind == "alias":
            aliases.setdefault(row.name, []).append(row.item)
    for name, own in aliases.items():
        reached = [name]
        for known in reached:
            for alias in aliases.get(known, ()):
                if alias == name and (known != name or len(own) == 1):  # one of several dates may end the others
                    raise _WrongKeyError(f'aliases."{name}": stands for itself, by way of "{known}"')
                if alias not in reached:
                    reached.append(alias)


def _begins(key: str, table: dict[str, Any]) -> int:
    given = table.pop("effective_from", None)
    try:
        if given is None:
            return _ALWAYS
        return microseconds(given.isoformat() if isinstance(given, date) else given)
    except (TypeError, ValueError, OverflowError) as error:
        raise _WrongKeyError(f"{key}.effective_from: {str(given)!r} is no date, such as 2025-03-01") from error


def _by_name(section: str, tables: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (key, name, table) of a section that holds, per name, one table or a list of them."""
    if not isinstance(tables, Mapping):
        raise _WrongKeyError(f"{section}: is not a table")
    for name, rows in tables.items():
        key = f'{section}."{name}"'
        for place, _, table in _in_a_list(key, rows if isinstance(rows, list) else [rows]):
            yield place if isinstance(rows, list) else key, name, table


def _in_a_list(section: str, tables: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (key, "", table) of a list of tables; a text alone is its table's `model`."""
    if not isinstance(tables, list):
        raise _WrongKeyError(f"{section}: is not a list of tables: write [[{section}]]")
    for number, row in enumerate(tables):
        table = {"model": row} if isinstance(row, str) else row
        if not isinstance(table, Mapping):
            raise _WrongKeyError(f"{section}[{number}]: is not a table")
        yield f"{section}[{number}]", "", dict(table)


# How each section of the file is laid out, and what reads one of its tables.
_SECTIONS = {
    "rates": (_by_name, _read_rates),
    "discounts": (_in_a_list, _read_discount),
    "aliases": (_by_name, _read_alias),
}
