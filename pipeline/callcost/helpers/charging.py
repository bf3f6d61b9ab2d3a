"""What a usage costs under the first of several names that has a price, or why none has.

Where a report says that a call is unpriced, a helper, which returns a number, raises and says what to give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from callcost.errors import PriceError
from callcost.helpers.books import sound_entry
from callcost.helpers.measures import PICTURE_UNITS, Picture, describe, measures_of, picture_names
from callcost.helpers.parameters import mapping
from callcost.helpers.registry import unknown_model
from callcost.models import PROVISIONED
from callcost.prices.book.book import Book, Resolution
from callcost.prices.charges import Bill, price_usage
from callcost.prices.rates import Case, RateCard, Terms
from callcost.prices.tariffs import Tariff, read_tariff
from callcost.tables import Usage

_SECONDS = "output_seconds"  # what a rate of the caller's own by the second is laid on


class Asked(NamedTuple):
    """What is to be priced.

    Attributes:
        book: who knows the rates.
        names: of the model, the most telling first; the first that has a price decides.
        provider: who serves it; None: nobody says.
        region: cloud region; None: nobody says.
        terms: what the rates depend on beside the model.
        own: the caller's own rates, which go before all others; None: there are none.
    """

    book: Book
    names: Sequence[str]
    provider: str | None
    region: str | None
    terms: Terms
    own: RateCard | None

    def resolve(self, name: str) -> Resolution:
        """Find what prices one of the names."""
        return self.book.resolve(name, self.provider, self.terms.moment, region=self.region)


def bill_of(asked: Asked, usage: Usage) -> Bill:
    """Charge a usage at the caller's own rates, else at those of the first of the names that has any.

    Raises:
        UnknownModelError: none has.
        PriceError: the model, or the tier, is not charged by what the usage states.
    """
    listed: tuple[str, Tariff] | None = None
    for name in asked.names:
        found = asked.resolve(name)
        card = asked.book.rates(found, asked.terms)
        if asked.own is not None:
            return _own_bill(asked.own, card, usage)
        bill = price_usage(usage, card)
        if bill.reason == PROVISIONED:
            raise PriceError(f"service tier {asked.terms.tier!r} is paid for by the hour or the month, not by tokens")
        if found.tariff is None or found.tariff.empty:
            continue
        if bill.status != "unpriced" and (bill.scaled[3] or not measures_of(found.tariff)):
            return bill
        listed = listed or (name, found.tariff)
    if asked.own is not None:
        return _own_bill(asked.own, None, usage)
    if listed is None:
        raise unknown_model(asked.names[0] if asked.names else "", asked.book)
    raise _not_charged_so(*listed)


def picture_bill(asked: Asked, picture: Picture) -> Bill:
    """Charge pictures of a call that states no tokens, by their size and quality.

    Raises:
        UnknownModelError: no name has a price.
        PriceError: the maps list the model's pictures, but none such.
    """
    for name in asked.names:
        listed = _picture_listing(asked, name, picture)
        if listed is not None:
            sized, unit = listed
            quantity = picture.number if unit.endswith("images") else picture.pixels
            return bill_of(asked._replace(names=[sized]), Usage(billed_units={unit: quantity}))
    return bill_of(asked, Usage())


def _picture_listing(asked: Asked, name: str, picture: Picture) -> tuple[str, str] | None:
    """Return the name under which a map lists pictures of such a look, and the unit that it charges.

    The usual look is that of the plain name where this has a rate by picture: the rates by pixel are rounded.
    """
    found = asked.resolve(name)
    unit = _picture_unit(found.tariff)
    if unit and unit.endswith("images") and picture.usual:
        return name, unit
    for sized in picture_names(name, picture.size, picture.quality):
        other = asked.resolve(sized)
        if other.key and sized.endswith(other.key):
            return sized, _picture_unit(other.tariff) or PICTURE_UNITS[0]
    if unit and any("-x-" in known and known.endswith(f"/{found.key}") for known in asked.book.rules.known()):
        look = " ".join(filter(None, picture[1:]))
        raise PriceError(f"no price for pictures of {name!r} of the look {look!r}", hint="Give its size and quality")
    return (name, unit) if unit else None


def _picture_unit(tariff: Tariff | None) -> str | None:
    """Return the unit of pictures that a model charges; None: it charges none."""
    rates = {placed.unit: listed.rate for placed, listed in tariff.rates.items()} if tariff else {}
    units = [unit for unit in PICTURE_UNITS if unit in rates]
    return next((unit for unit in units if rates[unit]), units[0] if units else None)


def own_card(per_token: Mapping[str, Any] | None, per_second: float | None) -> RateCard | None:
    """Return the card of the caller's own rates, which hold in every tier and for every size.

    Raises:
        PriceError: one of them is no price, or there is none.
    """
    if per_token is None and per_second is None:
        return None
    if per_token is not None:
        name, own = "custom_cost_per_token", mapping("custom_cost_per_token", per_token)
    else:
        name, own = "custom_cost_per_second", {"output_cost_per_second": per_second}
    card = RateCard(read_tariff(sound_entry(name, own)), Case())
    if card.empty:
        raise PriceError(f"{name} holds no rate, such as input_cost_per_token")
    return card


def _own_bill(own: RateCard, card: RateCard | None, usage: Usage) -> Bill:
    """Charge tokens, or seconds, at the caller's own rates, and tools at the map's."""
    units = usage.billed_units or {}
    if own.line(_SECONDS) is not None:
        return price_usage(Usage(billed_units={_SECONDS: units.get("seconds", Decimal(0))}), own)
    tokens = price_usage(msgspec.structs.replace(usage, billed_units=None), own)
    if card is None or not units:
        return tokens
    extras = price_usage(Usage(billed_units=units), card).scaled[2]
    inputs, outputs, _, total = tokens.scaled
    return tokens._replace(scaled=(inputs, outputs, extras, (total or 0) + (extras or 0)))


def _not_charged_so(name: str, tariff: Tariff) -> PriceError:
    """Return the error that says by what a model is charged that was priced by something else."""
    measures = measures_of(tariff)
    if not measures:
        return PriceError(f"{name!r} is priced by tokens, and there are none", hint="Give tokens, or a usage")
    words, remedy = describe(measures)
    return PriceError(f"{name!r} is priced by {words}, and there are none", hint=remedy)
