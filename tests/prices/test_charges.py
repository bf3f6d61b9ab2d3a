"""Charges of one usage: exact, complete, and said to be incomplete where they are."""

from __future__ import annotations

from decimal import Decimal

import pytest

from callcost.prices.book.cost_map import entry_of
from callcost.prices.charges import charge_for, money, plan_units, price_usage, side_of
from callcost.prices.rates import Case, RateCard
from callcost.prices.tariffs import read_tariff
from callcost.tables import Usage


def card(**fields: object) -> RateCard:
    return RateCard(read_tariff(entry_of({"mode": "chat", **fields})), Case())


CHAT = card(input_cost_per_token=3e-6, output_cost_per_token=1.5e-5, input_cost_per_audio_token=1e-5)


def test_charges_sum_to_the_cost_of_their_side() -> None:
    bill = price_usage(Usage(prompt_tokens=100, audio_input_tokens=40, completion_tokens=10, reasoning_tokens=4), CHAT)

    assert [(part.unit, part.quantity) for part in bill.charges] == [
        ("text_input", 60),
        ("audio_input", 40),
        ("text_output", 6),
        ("reasoning", 4),
    ]
    assert bill.costs == (Decimal("0.00058"), Decimal("0.00015"), None, Decimal("0.00073"))


def test_a_usage_that_states_nothing_is_unpriced() -> None:
    assert price_usage(Usage(), CHAT)[:2] == ("unpriced", "no_usage")
    assert price_usage(Usage(billed_units={"web_search_requests": Decimal(0)}), CHAT)[:2] == ("unpriced", "no_usage")


def test_stated_zeros_cost_nothing_and_are_priced() -> None:
    bill = price_usage(Usage(prompt_tokens=0, completion_tokens=0), CHAT)

    assert bill.status == "priced"
    assert bill.costs == (Decimal(0), Decimal(0), None, Decimal(0))


def test_a_count_that_took_too_long_makes_the_price_a_part() -> None:
    bill = price_usage(Usage(prompt_tokens=9, completion_tokens=9), CHAT, usage_source="timed_out")

    assert bill[:2] == ("partly_priced", "timed_out")


def test_embeddings_have_no_output_and_miss_none() -> None:
    embedding = card(mode="embedding", input_cost_per_token=1e-7, output_cost_per_token=0)

    bill = price_usage(Usage(prompt_tokens=9), embedding)

    assert (bill.status, bill.costs[1]) == ("priced", None)


@pytest.mark.parametrize(
    ("quantity", "rate", "cost"),
    [
        (Decimal("0.5"), "3e-18", "2e-18"),  # half to even
        (Decimal("1.5"), "3e-18", "4e-18"),
        (Decimal("2.5"), "0.0001", "0.00025"),
        (7, "0.0001", "0.0007"),
    ],
)
def test_a_fraction_is_rounded_once_a_whole_number_never(quantity: int | Decimal, rate: str, cost: str) -> None:
    line = card(output_cost_per_second=rate).line("output_seconds")

    assert line is not None
    assert money(charge_for(quantity, line)) == Decimal(cost)


def test_two_measures_of_one_thing_are_charged_once() -> None:
    rates = {"output_cost_per_image": 0.04, "input_cost_per_character": 1e-7}
    both = card(input_cost_per_token=1e-6, output_cost_per_token=1e-6, **rates)

    tokens = plan_units(["output_images"], both, prompt=True, completion=True)
    images = plan_units(["output_images"], both, prompt=True, completion=False)
    characters = plan_units(["input_characters"], both, prompt=True, completion=True)

    assert tokens.charged == ()
    assert images.charged == ("output_images",)
    assert characters.replaced == {"text_input"}


@pytest.mark.parametrize(
    ("unit", "side"),
    [
        ("input_seconds", "input"), ("input_pixels", "input"), ("output_seconds", "output"),
        ("output_images", "output"), ("output_pixels", "output"), ("output_seconds_720p", "output"),
    ],
)  # fmt: skip
def test_what_tokens_pay_for_is_not_charged_again_by_the_second_or_the_picture(unit: str, side: str) -> None:
    both = card(input_cost_per_token=1e-6, output_cost_per_token=1e-6)
    bare = card()

    of_side = plan_units([unit], both, prompt=side == "input", completion=side == "output")
    of_other = plan_units([unit], both, prompt=side == "output", completion=side == "input")
    without_rate = plan_units([unit], bare, prompt=True, completion=True)

    assert (of_side.charged, of_other.charged, without_rate.charged) == ((), (unit,), (unit,))


@pytest.mark.parametrize(("prompt", "completion", "charged"), [(True, False, 0), (False, True, 0), (False, False, 1)])
def test_seconds_of_a_machine_are_charged_where_no_tokens_are(prompt: bool, completion: bool, charged: int) -> None:
    both = card(input_cost_per_token=1e-6, output_cost_per_token=1e-6, cost_per_second=1)

    assert len(plan_units(["seconds"], both, prompt=prompt, completion=completion).charged) == charged


@pytest.mark.parametrize("unit", ["input_images", "input_characters", "output_characters"])
def test_what_tokens_stand_for_is_missing_only_where_they_have_no_rate_either(unit: str) -> None:
    chat = card(input_cost_per_token=1e-6, output_cost_per_token=1e-6)
    images = card(input_cost_per_token=1e-6, input_cost_per_image=1e-3)

    assert plan_units([unit], chat, prompt=True, completion=True).charged == ()
    assert plan_units([unit], chat, prompt=False, completion=False).charged == (unit,)
    assert plan_units([unit], card(), prompt=True, completion=True).charged == (unit,)
    assert plan_units(["input_images"], images, prompt=True, completion=True).charged == ("input_images",)


def test_a_model_that_is_charged_by_the_second_or_page_is_not_charged_by_tokens() -> None:
    heard = Usage(prompt_tokens=4, completion_tokens=635, billed_units={"input_seconds": Decimal(200)})
    read = Usage(billed_units={"pages": Decimal(2)})

    bill = price_usage(heard, card(input_cost_per_second=1e-4))

    assert bill[:2] == ("priced", None)
    assert bill.total_cost == Decimal("0.02")
    assert price_usage(read, card(ocr_cost_per_page=1e-3)).total_cost == Decimal("0.002")
    by_token = Usage(prompt_tokens=4, completion_tokens=635)
    assert price_usage(by_token, card(input_cost_per_second=1e-4))[:2] == ("partly_priced", "rate_fallback")


def test_a_tool_does_not_make_up_for_tokens_that_nothing_prices() -> None:
    fetched = Usage(prompt_tokens=4, completion_tokens=1, billed_units={"web_fetch_requests": Decimal(1)})

    assert price_usage(fetched, card(cost_per_second=1))[:2] == ("partly_priced", "rate_fallback")
    assert price_usage(fetched, card(code_interpreter_cost_per_session=1))[:2] == ("partly_priced", "missing_rate")


def test_seconds_of_a_modality_are_charged_beside_tokens() -> None:
    plan = plan_units(["audio_input_seconds", "pages"], CHAT, prompt=True, completion=True)

    assert plan.charged == ("audio_input_seconds", "pages")


def test_a_unit_that_nobody_knows_is_missing_not_lost() -> None:
    bill = price_usage(Usage(prompt_tokens=1, completion_tokens=0, billed_units={"bananas": Decimal(2)}), CHAT)

    assert bill[:2] == ("partly_priced", "missing_rate")
    assert side_of("bananas") == "other"


@pytest.mark.parametrize("rate", [-1e-6, 1e6, 1e90])
def test_an_impossible_rate_is_no_rate(rate: float) -> None:
    bill = price_usage(Usage(prompt_tokens=1, completion_tokens=0), card(input_cost_per_token=rate))

    assert bill[:2] == ("unpriced", "no_rate")
