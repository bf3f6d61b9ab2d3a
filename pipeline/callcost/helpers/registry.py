"""What is known of models, with LiteLLM's names: get_model_info, get_max_tokens, model_cost, register_model.

All of them read the version in force now, under what was registered; so do cost_per_token, completion_cost and every
report that the same program makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

from callcost.errors import PriceError, UnknownModelError
from callcost.helpers.books import CORRECTED, Prices, book_of, microseconds_of, sound_entry
from callcost.helpers.parameters import check_utf8, mapping, text, text_if_given
from callcost.prices.book.book import PULL_HINT, Book
from callcost.prices.book.cost_map import NO_MODELS, Entry, is_number, parse_map
from callcost.prices.book.registered import register, registered

# What LiteLLM's answer always has, None where the map says nothing.
_ALWAYS = (
    "max_tokens", "max_input_tokens", "max_output_tokens", "input_cost_per_token", "output_cost_per_token",
    "cache_read_input_token_cost", "cache_creation_input_token_cost", "litellm_provider", "mode",
)  # fmt: skip


def get_model_info(
    model: str,
    custom_llm_provider: str | None = None,
    api_base: str | None = None,
    api_key: str | None = None,
    *,
    at: datetime | None = None,
    prices: Prices = None,
    corrections: str = CORRECTED,
) -> dict[str, Any]:
    """Return what the cost map says of a model: its prices, limits, provider and mode, and its ``key`` there.

    Args:
        model: its name, with or without a provider's prefix.
        custom_llm_provider: who serves it.
        api_base: not used; LiteLLM has it.
        api_key: not used; LiteLLM has it.
        at: as of when; default: now.
        prices: a version's name, a date, "latest" or a mapping in LiteLLM's format.
        corrections: which corrections lie over the maps: "stated", "all" or "none"; none over one that is named.

    Raises:
        UnknownModelError: no version that applies lists it.
        ArgumentError: an argument is of the wrong type.
        ConfigError: ``corrections`` is none of its words.
    """
    book, model = book_of(prices, corrections), text("model", model)
    provider = text_if_given("custom_llm_provider", custom_llm_provider)
    found = book.resolve(model, provider, microseconds_of(at))
    if found.entry is None or found.key is None:
        raise unknown_model(model, book)
    return {"key": found.key, **dict.fromkeys(_ALWAYS), **_fields_of(found.entry)}


def get_max_tokens(model: str, *, at: datetime | None = None, prices: Prices = None) -> int | None:
    """Return how many tokens a model can answer with: max_output_tokens, else max_tokens; None: the map has neither.

    Raises:
        UnknownModelError: no version that applies lists it.
        PriceError: what the map has there is no number.

    >>> get_max_tokens("gpt-3.5-turbo")
    4096
    """
    info = get_model_info(model, at=at, prices=prices)
    limit = info.get("max_output_tokens") or info.get("max_tokens")
    if limit is not None and not is_number(limit):
        raise PriceError(f"the map's limit of {model!r} is no number: {limit!r}")
    return None if limit is None else int(float(limit))


def register_model(
    model_cost: str | Mapping[str, Mapping[str, Any]],
    *,
    persist_across_reloads: bool = True,
    warning_display_name: str | None = None,
    custom_llm_provider: str | None = None,
    force: bool = False,
) -> Mapping[str, dict[str, Any]]:
    """Register models, or lay new fields over known ones; holds at once, for this process and its reports.

    Args:
        model_cost: model -> fields of the cost map; or the URL of such a map, which is fetched now.
        persist_across_reloads: not used; nothing here is reloaded.
        warning_display_name: not used; LiteLLM has it.
        custom_llm_provider: who serves models whose fields do not say so.
        force: take rates above one dollar a token; they are refused as rates per million.

    Returns:
        ``model_cost``, the live mapping.

    Raises:
        PriceError: the map cannot be fetched or read, or holds what can be no price; then nothing of it is registered.
        ArgumentError: an argument is of the wrong type, or holds a text that is not UTF-8.
    """
    provider = text("custom_llm_provider", custom_llm_provider)
    check_utf8("custom_llm_provider", provider)
    if isinstance(model_cost, str):
        from callcost.net.http import fetch  # noqa: PLC0415 - the only way to the network, if asked

        check_utf8("model_cost", model_cost)
        model_cost = parse_map(fetch(model_cost).content or b"{}")
    models = mapping("model_cost", model_cost)
    sound = _sound(models, provider=provider, force=force)
    register({model: (fields, _MODELS.entry(model)) for model, fields in sound.items()})
    return _MODELS


def unknown_model(model: str, book: Book) -> UnknownModelError:
    """Return the error that names a model that nothing prices, and the names nearest to it."""
    near = ", ".join(book.suggest(model))
    hint = f"Near names: {near}; {PULL_HINT}" if near else PULL_HINT
    return UnknownModelError(f"no price for the model {model!r}", hint=hint)


if TYPE_CHECKING:
    _LiveDict = dict[str, dict[str, Any]]
else:

    class _LiveDict(MutableMapping, dict):
        """A dict to isinstance and json.dumps whose methods all go through those that ModelCost has."""


class ModelCost(_LiveDict):
    """The version in force now and what was registered, as LiteLLM's ``model_cost``: always up to date.

    It is a dict that holds nothing of its own: what it shows is made when it is asked for, what is put into it is
    registered. A copy, as ``copy`` and ``|`` make one, is a plain dict of this moment.
    """

    def __init__(self) -> None:
        dict.__setitem__(self, "", {})  # json.dumps takes a dict without any of its own for an empty one

    def entry(self, model: str) -> Entry | None:
        """Return a model's fields with exact decimals, None where it is not listed."""
        book = book_of(None)
        own = registered().get(model)
        return own if own is not None else book.catalog.entry(model, book.rules.version_at(microseconds_of(None)))

    def __getitem__(self, model: str) -> dict[str, Any]:
        entry = self.entry(model)
        if entry is None:
            raise KeyError(model)
        return _fields_of(entry)

    def __setitem__(self, model: str, fields: Mapping[str, Any]) -> None:
        self.update({model: fields})

    def __delitem__(self, model: str) -> None:
        raise PriceError(f"{model!r} stays in model_cost: what is in force or registered cannot be taken out")

    def __iter__(self) -> Iterator[str]:
        book = book_of(None)
        version = book.rules.version_at(microseconds_of(None))
        listed = book.catalog.names(version) if version else ()
        yield from registered()
        yield from (name for name in listed if name not in registered())

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(self.copy())

    def __or__(self, other: Any) -> Any:
        return self.copy() | other if isinstance(other, dict) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return other | self.copy() if isinstance(other, dict) else NotImplemented

    def __ior__(self, other: Any) -> Self:  # type: ignore[override]
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (self.copy(),)

    def copy(self) -> dict[str, dict[str, Any]]:
        """Return what is in force or registered now as a plain dict."""
        return dict(self.items())

    def update(self, *models: Any, **more: Any) -> None:
        """Register models, each with these fields and no others; arguments are those of ``dict.update``.

        Raises:
            PriceError: one holds what can be no price; then nothing is registered.
        """
        register({model: (fields, None) for model, fields in _sound(dict(*models, **more)).items()})


model_cost = _MODELS = ModelCost()


def _sound(models: Mapping[str, Any], *, provider: str = "", force: bool = False) -> dict[str, Entry]:
    """Return the models of a map, checked, with exact decimals; rows that describe the map itself are none."""
    stated = {"litellm_provider": provider} if provider else {}
    sound: dict[str, Entry] = {
        text("a name in model_cost", model): {**stated, **sound_entry(model, given, force=force)}
        for model, given in models.items()
        if model not in NO_MODELS
    }
    check_utf8("model_cost", sound)  # what is registered goes to every worker process, and into what they write
    return sound


def _fields_of(entry: Entry) -> dict[str, Any]:
    """Return a model's fields as LiteLLM has them.

    Its newer maps leave ``max_tokens`` out, which their "sample_spec" calls max_output_tokens, else max_input_tokens.
    """
    fields: dict[str, Any] = {field: _plain(value) for field, value in entry.items()}
    limit = fields.get("max_output_tokens") or fields.get("max_input_tokens")
    return fields if limit is None or "max_tokens" in fields else {"max_tokens": limit, **fields}


def _plain(value: Any) -> Any:
    """Return fields as LiteLLM has them: floats for decimals."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value
