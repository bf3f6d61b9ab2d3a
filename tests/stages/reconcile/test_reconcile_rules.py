"""Each rule takes what it measures, and nothing where the evidence is not whole."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from callcost.logs.bills.lines import DAY
from callcost.stages.reconcile import cache_rules, rules
from callcost.stages.reconcile.case import Case
from callcost.stages.reconcile.cells import Cell, CellKey, Vector
from tests.stages.reconcile.by_hand import FakeEvidence, causes, make_case, make_cell, make_part, vector

KEY = CellKey(0, "openai", "gpt-4.1", None)


def _settle(rule: Callable[[Case], None], *cells: Cell, evidence: FakeEvidence | None = None, **more: Any) -> None:
    rule(make_case(cells, evidence, **more))


def _one(rule: Callable[[Case], None], cell: Cell, **more: Any) -> Any:
    _settle(rule, cell, **more)
    return causes(cell)


# --- No price ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "amount"),
    [
        ({"ours": 4, "unpriced": Decimal(4), "billed": 8, "amount": 6}, "3"),  # half of it is ours
        ({"ours": 9, "unpriced": Decimal(9), "billed": 8, "amount": 6}, "6"),
        ({"ours": 4, "unpriced": Decimal(4), "billed": 0, "amount": 6}, "6"),
        ({"ours": 4, "unpriced": Decimal(4), "amount": 6}, "6"),
        ({"ours": 4, "unpriced": Decimal(4), "billed": 8, "amount": 0}, None),
        ({"ours": 4, "unpriced": Decimal(2), "cost": 1, "billed": 8, "amount": 6}, None),
        ({"billed": 8, "amount": 6}, None),
    ],
)
def test_what_is_asked_for_our_unpriced_tokens_is_named(cell: dict[str, Any], amount: str | None) -> None:
    expected = [] if amount is None else [("unpriced_model", 0, Decimal(amount))]
    assert _one(rules.settle_unpriced, make_cell(**cell)) == expected


def test_a_call_without_a_price_is_unpriced_whatever_it_used() -> None:
    cell = make_cell(None, amount=6)
    assert _one(rules.settle_unpriced, cell, per_call=True) == [("unpriced_model", 0, 6)]
    assert cell.findings[0].evidence == "our call has no price"
    assert not _one(rules.settle_unpriced, make_cell(None, cost=1, amount=6), per_call=True)
    row = make_cell(ours=4, unpriced=Decimal(4), amount=6)
    _settle(rules.settle_unpriced, row)
    assert row.findings[0].evidence == "our calls have no price"
    tools = make_cell("web_search_requests", ours=4, unpriced=Decimal(4), amount=6)
    assert not _one(rules.settle_unpriced, tools)


# --- Units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("billed", "found"),
    [(100_000, True), (100_100, True), (100_101, False), (99_900, True), (110_000, False), (90_000, False),
     (1_000_000, True), (10, True), (1_000, False), (10_000, False)],
)  # fmt: skip
def test_counts_in_another_unit_are_ours_to_a_thousandth(billed: int, found: bool) -> None:
    cell = make_cell(ours=1_000, cost=1, billed=billed, amount=1)
    assert _one(rules.settle_units, cell) == ([("unit_error", billed - 1_000, 0)] if found else [])


def test_every_count_of_a_model_is_in_the_other_unit_or_none_is() -> None:
    right, wrong = make_cell(ours=1_000, billed=1_000), make_cell("output", ours=7, billed=700)
    _settle(rules.settle_units, right, wrong)
    assert not right.findings
    assert not wrong.findings
    both = [make_cell(ours=10, billed=1_000), make_cell("output", ours=7, billed=700)]
    both.append(make_cell("cache_read", billed=5))
    tools = make_cell("web_search_requests", ours=7, billed=700)
    _settle(rules.settle_units, *both, tools, make_cell("cache_write", ours=5, billed=0))
    assert [causes(cell) for cell in (*both, tools)] == [
        [("unit_error", 990, None)], [("unit_error", 693, None)], [], [],
    ]  # fmt: skip
    assert both[0].findings[0].evidence == "counts x 100"


def test_amounts_in_the_unit_of_the_counts_are_wrong_with_them() -> None:
    cell = make_cell(ours=10, cost=2, billed=1_000, amount=200)
    assert _one(rules.settle_units, cell) == [("unit_error", 990, 198)]
    right = make_cell(ours=10, cost=2, billed=1_000, amount=2)
    assert _one(rules.settle_units, right) == [("unit_error", 990, 0)]
    free = make_cell(ours=10, cost=0, billed=1_000, amount=5)
    assert _one(rules.settle_units, free) == [("unit_error", 990, 0)]


# --- Counts from amounts ----------------------------------------------------------------------------------------------


def _implied(*cells: Cell) -> Any:
    _settle(rules.settle_implied, *cells)
    return [(cell.gap, cell.implied) for cell in cells]


def test_whole_tokens_of_the_amounts_are_counts() -> None:
    """13 and 19 tokens at our rates, and no rate gives both for our counts."""
    cells = make_cell(ours=10, cost=20, amount=26), make_cell("output", ours=10, cost=80, amount=152)
    assert _implied(*cells) == [(3, True), (9, True)]
    assert not cells[0].findings


def test_amounts_that_are_no_whole_tokens_are_no_counts() -> None:
    broken = make_cell("output", ours=10, cost=80, amount=Decimal("152.5"))
    assert _implied(make_cell(ours=10, cost=20, amount=26), broken) == [(None, False), (None, False)]
    loose = make_cell("output", ours=10, cost=80, amount=Decimal("152.5"), slack=Decimal("0.6"))
    assert _implied(make_cell(ours=10, cost=20, amount=26), loose)[1] == (9, True)
    edge = make_cell("output", ours=10, cost=80, amount=Decimal("152.5"))
    edge.slack = Decimal("0.5")
    assert _implied(make_cell(ours=10, cost=20, amount=26), edge)[1] == (9, True)


def test_amounts_that_other_rates_give_are_no_counts() -> None:
    """Both are half: a batch."""
    cells = make_cell(ours=10, cost=20, amount=10), make_cell("output", ours=10, cost=80, amount=40)
    assert _implied(*cells) == [(None, False), (None, False)]


def test_counts_of_the_bill_are_not_read_from_amounts() -> None:
    known = make_cell("output", ours=10, cost=80, amount=152, billed=10)
    assert _implied(make_cell(ours=10, cost=20, amount=26), known) == [(None, False), (0, False)]
    assert _implied(make_cell(None, ours=10, cost=20, amount=26)) == [(None, False)]
    assert _implied(make_cell(ours=0, cost=20, amount=26)) == [(None, False)]
    assert _implied(make_cell(ours=10, amount=26)) == [(None, False)]
    assert _implied(make_cell(ours=10, cost=26)) == [(None, False)]
    tools = make_cell("web_search_requests", ours=10, cost=20, amount=26)
    assert _implied(tools) == [(None, False)]
    later = make_cell(day=DAY, ours=10, cost=20, amount=26), make_cell("output", day=DAY, ours=10, cost=80, amount=152)
    assert _implied(make_cell(ours=10, amount=26), *later)[1:] == [(3, True), (9, True)]
    one = make_cell(ours=1, cost=20, amount=26), make_cell("output", ours=10, cost=80, amount=152)
    assert _implied(*one) == [(None, False), (None, False)]
    zero = make_cell(ours=10, cost=20, amount=0), make_cell("output", ours=10, cost=80, amount=152)
    assert _implied(*zero) == [(-10, True), (9, True)]


# --- Copies, runs -----------------------------------------------------------------------------------------------------


def test_calls_logged_twice_are_taken_where_they_fit() -> None:
    copied = {KEY: vector(input=(5, "0.5"))}
    cell = make_cell(ours=15, cost=2, billed=10, amount=1)
    found = _one(rules.settle_copies, cell, evidence=FakeEvidence(copied=copied))
    assert found == [("duplicates", -5, Decimal("-0.5"))]
    small = make_cell(ours=15, cost=2, billed=11, amount=1)
    assert not _one(rules.settle_copies, small, evidence=FakeEvidence(copied=copied))
    equal = make_cell(ours=15, cost=2, billed=15, amount=1)
    assert not _one(rules.settle_copies, equal, evidence=FakeEvidence(copied=copied))
    uncounted = make_cell(ours=15, cost=2, amount=1)
    assert not _one(rules.settle_copies, uncounted, evidence=FakeEvidence(copied=copied))
    assert cell.findings[0].evidence == "calls logged twice under different names"
    later = make_cell(day=DAY, ours=15, billed=10)
    evidence = FakeEvidence(copied={later.key._replace(token_class=None): copied[KEY]})
    _settle(rules.settle_copies, uncounted, later, evidence=evidence)
    assert causes(later) == [("duplicates", -5, None)]


def test_a_class_of_ours_without_a_count_leaves_a_row_alone() -> None:
    counted, not_counted = make_cell(ours=15, billed=10), make_cell("output", ours=5, cost=1, amount=1)
    evidence = FakeEvidence(copied={KEY: vector(input=(5, 1))})
    _settle(rules.settle_copies, counted, not_counted, evidence=evidence)
    assert not counted.findings
    only_billed = make_cell("output", amount=1)
    _settle(rules.settle_copies, counted, only_billed, evidence=evidence)
    assert causes(counted) == [("duplicates", -5, None)]


CALLS: list[Vector] = [vector(input=(5, 1), output=(3, 2)), vector(input=(7, 2), output=(4, 3))]


def _twice(gaps: tuple[int, int], calls: list[Vector] = CALLS, **more: Any) -> Any:
    cells = [
        make_cell(name, ours=ours, cost=cost, billed=ours + gap, amount=100, **more)
        for (name, ours, cost), gap in zip((("input", 12, 3), ("output", 7, 5)), gaps, strict=True)
    ]
    _settle(rules.settle_copies, *cells, evidence=FakeEvidence(calls={(KEY, True): calls}))
    return [causes(cell) for cell in cells]


def test_a_day_that_is_billed_again_and_again_is_seen_in_every_class() -> None:
    assert _twice((12, 7)) == [[("duplicates", 12, 3)], [("duplicates", 7, 5)]]
    assert _twice((24, 14)) == [[("duplicates", 24, 6)], [("duplicates", 14, 10)]]
    assert _twice((6, 7)) == [[], []]
    assert _twice((0, 7)) == [[], []]
    assert _twice((12, 7), day=None) == [[], []]
    alike = [CALLS[0], CALLS[0]]
    assert _twice((12, 7), alike) == [[], []]
    half = [make_cell(ours=12, billed=18), make_cell("output", ours=8, billed=12)]
    _settle(rules.settle_copies, *half, evidence=FakeEvidence(calls={(KEY, True): CALLS}))
    assert not half[0].findings


def test_the_bill_says_how_often_it_has_every_call() -> None:
    cells = [make_cell(ours=12, billed=36), make_cell("output", ours=7, billed=21)]
    _settle(rules.settle_copies, *cells, evidence=FakeEvidence(calls={(KEY, True): CALLS}))
    assert cells[0].findings[0].evidence == "the bill has every call 3 times"


def test_one_class_alone_is_no_evidence_of_a_day_billed_twice() -> None:
    cell = make_cell(ours=12, cost=3, billed=24, amount=100)
    calls = [vector(input=(5, 1)), vector(input=(7, 2))]
    assert not _one(rules.settle_copies, cell, evidence=FakeEvidence(calls={(KEY, True): calls}))
    new = [make_cell(ours=12, billed=24), make_cell("output", billed=3), make_cell("cache_read", ours=7, billed=14)]
    _settle(rules.settle_copies, *new, evidence=FakeEvidence(calls={(KEY, True): CALLS}))
    assert not new[0].findings


def test_one_call_billed_again_is_seen_where_no_other_is_like_it() -> None:
    cells = [make_cell(ours=12, billed=19), make_cell("output", ours=7, billed=11)]
    cells.append(make_cell("cache_read", ours=1, billed=1))
    _settle(rules.settle_copies, *cells, evidence=FakeEvidence(calls={(KEY, True): CALLS}))
    assert cells[0].findings[0].evidence == "the bill has just one logged call more"
    assert _twice((7, 4)) == [[("duplicates", 7, 2)], [("duplicates", 4, 3)]]
    assert _twice((7, 4), [*CALLS, CALLS[1]]) == [[], []]
    assert _twice((8, 4)) == [[], []]
    assert _twice((7, 0), [vector(input=(7, 2)), CALLS[0]]) == [[], []]


def _runs(billed: tuple[int, int], further: Vector, first: Vector) -> Any:
    cells = [
        make_cell(name, ours=20, cost=10, billed=count, amount=5)
        for name, count in zip(("input", "output"), billed, strict=True)
    ]
    _settle(rules.settle_runs, *cells, evidence=FakeEvidence(hidden=({KEY: further}, {KEY: first})))
    return [causes(cell) for cell in cells]


def test_runs_that_one_side_lacks_are_taken_in_every_class() -> None:
    further, first = vector(input=(5, 2), output=(3, 1), cache_read=(0, 1)), vector(input=(15, 3), output=(17, 4))
    assert _runs((15, 17), further, first) == [[("missing_iterations", -5, -2)], [("missing_iterations", -3, -1)]]
    assert _runs((25, 23), further, first) == [[("missing_iterations", 5, 2)], [("missing_iterations", 3, 1)]]
    assert _runs((5, 3), further, first) == [[("missing_iterations", -15, -3)], [("missing_iterations", -17, -4)]]
    assert _runs((15, 18), further, first) == [[], []]
    assert _runs((20, 20), further, first) == [[], []]
    assert _runs((15, 20), {}, {}) == [[], []]
    assert _runs((15, 17), vector(input=(5, 2)), {}) == [[("missing_iterations", -5, -2)], []]
    uncounted = make_cell(ours=20, cost=10, amount=5)
    assert not _one(rules.settle_runs, uncounted, evidence=FakeEvidence(hidden=({KEY: further}, {})))
    half = [make_cell(ours=20, billed=15), make_cell("output", ours=20, cost=10, amount=5)]
    later = make_cell(day=DAY, ours=20, billed=15)
    known = {KEY: vector(input=(5, 2)), later.key._replace(token_class=None): vector(input=(5, 2))}
    _settle(rules.settle_runs, *half, later, evidence=FakeEvidence(hidden=(known, {})))
    assert not half[0].findings
    assert causes(later) == [("missing_iterations", -5, None)]


def _aborted(billed: tuple[int, int], broken: Vector, prompts: int = 0) -> Any:
    cells = [
        make_cell(name, ours=20, cost=10, billed=count, amount=5)
        for name, count in zip(("input", "output"), billed, strict=True)
    ]
    evidence = FakeEvidence(broken={KEY: broken} if broken else {}, prompts={KEY: Decimal(prompts)})
    _settle(rules.settle_aborted, *cells, evidence=evidence)
    return [causes(cell) for cell in cells]


def test_answers_that_broke_off_are_what_the_bill_lacks_or_has_more_output_of() -> None:
    broken = vector(input=(5, 2), output=(3, 1), cache_read=(0, 1))
    assert _aborted((15, 17), broken) == [[("aborted_stream", -5, -2)], [("aborted_stream", -3, -1)]]
    assert _aborted((20, 26), broken) == [[], [("aborted_stream", 6, 3)]]
    assert _aborted((20, 14), broken) == [[], []]
    assert _aborted((21, 26), broken) == [[], []]
    half = Decimal("0.5")
    assert _aborted((21, 26), broken, prompts=6) == [[("aborted_stream", 1, half)], [("aborted_stream", 6, 3)]]
    assert _aborted((14, 26), broken, prompts=6) == [[], []]
    assert _aborted((20, 20), broken) == [[], []]
    assert _aborted((20, 26), {}) == [[], []]
    alone = make_cell("output", ours=20, billed=26)
    assert not _one(rules.settle_aborted, alone, evidence=FakeEvidence(broken={KEY: broken}))


def test_the_evidence_of_runs_says_who_lacks_them() -> None:
    for billed, who in ((15, "the bill lacks"), (25, "the bill has once more")):
        cell = make_cell(ours=20, billed=billed)
        _settle(rules.settle_runs, cell, evidence=FakeEvidence(hidden=({KEY: vector(input=(5, 2))}, {})))
        assert cell.findings[0].evidence == f"{who} further runs of our calls"


# --- Caches -----------------------------------------------------------------------------------------------------------


def _caches(**classes: tuple[int, int]) -> Any:
    cells = [make_cell(name, ours=ours, cost=ours, billed=billed, amount=1) for name, (ours, billed) in classes.items()]
    _settle(cache_rules.settle_caches, *cells)
    return {str(cell.key.token_class): causes(cell) for cell in cells if cell.findings}


@pytest.mark.parametrize(
    "billed",
    [110, 90, 107, 117, 93, 83],  # input and the reads, the writes, both; more or less
)
def test_input_that_differs_by_just_the_cached_is_cache(billed: int) -> None:
    caches = {"cache_read": (10, 10), "cache_write_5m": (4, 4), "cache_write_1h": (3, 3)}
    found = _caches(input=(100, billed), output=(1, 2), **caches)
    assert found == {"input": [("cache", billed - 100, billed - 100)]}


def test_input_that_differs_by_anything_else_is_not() -> None:
    assert not _caches(input=(100, 111), cache_read=(10, 10), output=(5, 5))
    assert not _caches(input=(100, 110), output=(5, 5))
    assert not _caches(input=(100, 100), cache_read=(0, 0), output=(5, 6))


def test_what_only_the_bill_says_was_cached_counts_too() -> None:
    cells = [
        make_cell("input", ours=100, cost=100, billed=130, amount=1),
        make_cell("cache_read", ours=0, billed=30, amount=1),
    ]
    cells[1].gap = Decimal(0)
    _settle(cache_rules.settle_caches, *cells)
    assert causes(cells[0]) == [("cache", 30, 30)]
    assert cells[0].findings[0].evidence == "cached tokens counted as input, too"


def test_where_answers_agree_cached_tokens_and_input_are_cache() -> None:
    found = _caches(input=(100, 110), cache_read=(10, 0), cache_write=(5, 6), output=(7, 7), audio_input=(1, 2))
    gaps = {"input": 10, "cache_read": -10, "cache_write": 1}
    assert found == {name: [("cache", gap, gap)] for name, gap in gaps.items()}
    assert _caches(cache_read=(10, 0), output=(7, 7)) == {"cache_read": [("cache", -10, -10)]}
    assert not _caches(input=(100, 110), cache_read=(10, 0), output=(7, 8))
    assert not _caches(input=(100, 110), cache_read=(10, 0))
    assert not _caches(input=(100, 110), cache_read=(10, 0), output=(0, 0))
    cell = make_cell("cache_read", ours=10, cost=10, billed=0, amount=1)
    _settle(cache_rules.settle_caches, cell, make_cell("output", ours=7, billed=7))
    assert cell.findings[0].evidence == "answers agree, cached tokens do not"


def test_caches_without_counts_are_left_alone() -> None:
    cells = [make_cell("cache_read", ours=10, billed=0), make_cell("output", ours=7, cost=1, amount=1)]
    later = [make_cell("cache_read", day=DAY, ours=10, billed=0), make_cell("output", day=DAY, ours=7, billed=7)]
    _settle(cache_rules.settle_caches, *cells, *later)
    assert not cells[0].findings
    assert causes(later[0]) == [("cache", -10, None)]


# --- Tools ------------------------------------------------------------------------------------------------------------

TOOL = "web_search_requests"


def test_what_is_charged_beside_tokens_is_tools_or_has_no_price() -> None:
    assert _one(rules.settle_tools, make_cell(TOOL, ours=3, cost=3, billed=5, amount=5)) == [("server_tools", 2, 2)]
    assert _one(rules.settle_tools, make_cell(TOOL, ours=3, cost=3, amount=5)) == [("server_tools", 0, 2)]
    assert _one(rules.settle_tools, make_cell(TOOL, ours=3, cost=3, billed=5, amount=3)) == [("server_tools", 2, 0)]
    assert not _one(rules.settle_tools, make_cell(TOOL, ours=3, cost=3, billed=3, amount=3))
    beside = make_cell(TOOL, ours=3, cost=3, amount=5)
    fee = make_cell(TOOL, ours=3, unpriced=Decimal(3), billed=3, amount=5)
    _settle(rules.settle_tools, beside)
    _settle(rules.settle_tools, fee)
    assert [cell.findings[0].evidence for cell in (beside, fee)] == [
        "charged beside tokens", "our price list names no fee",
    ]  # fmt: skip
    unpriced: dict[str, Any] = {"ours": 3, "unpriced": Decimal(3)}
    assert _one(rules.settle_tools, make_cell(TOOL, **unpriced, billed=3, amount=5)) == [("unpriced_model", 0, 5)]
    assert _one(rules.settle_tools, make_cell(TOOL, **unpriced, billed=4, amount=5)) == [("server_tools", 1, 5)]
    assert not _one(rules.settle_tools, make_cell("input", **unpriced, billed=4, amount=5))
    assert not _one(rules.settle_tools, make_cell(TOOL, **unpriced, billed=3, amount=0))


def test_a_row_of_everything_that_lacks_our_fees_lacks_server_tools() -> None:
    def row(amount: int, token_class: str | None = None, **more: Any) -> Any:
        parts = [make_part(cost=Decimal(3)), make_part(token_class=TOOL, cost=Decimal(2))]
        return make_cell(token_class, ours=9, cost=5, amount=amount, parts=parts, **more)

    assert _one(rules.settle_tools, row(3)) == [("server_tools", 0, -2)]
    assert not _one(rules.settle_tools, row(4))
    assert not _one(rules.settle_tools, row(5))
    assert not _one(rules.settle_tools, row(7))
    assert not _one(rules.settle_tools, row(3, "input"))
    assert not _one(rules.settle_tools, row(4, slack=Decimal(1)))  # it may all be rounding
    assert not _one(rules.settle_tools, make_cell(None, ours=9, cost=5, amount=3))
    words = []
    for per_call in (False, True):
        cell = row(3)
        _settle(rules.settle_tools, cell, per_call=per_call)
        words.append(cell.findings[0].evidence)
    assert words == ["the bill lacks our server tools", "the stated cost lacks server tools"]


def test_tools_that_the_bill_states_for_a_call_are_compared_with_our_fees() -> None:
    parts = [make_part(token_class=TOOL, cost=Decimal(2))]
    cell = make_cell(None, ours=9, cost=5, amount=9, parts=parts, tool_amount=Decimal("2.5"))
    assert _one(rules.settle_tools, cell, per_call=True) == [("server_tools", 0, Decimal("0.5"))]
    assert cell.findings[0].evidence == "the bill states its server tools"
    same = make_cell(None, ours=9, cost=5, amount=9, parts=parts, tool_amount=Decimal(2))
    assert not _one(rules.settle_tools, same, per_call=True)
    lacking = make_cell(None, ours=9, cost=5, amount=3, parts=parts, tool_amount=Decimal(0))
    assert _one(rules.settle_tools, lacking, per_call=True) == [("server_tools", 0, -2)]


# --- What only one side has -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "cause", "tokens", "amount", "evidence"),
    [
        ({"ours": 10, "cost": 10, "billed": 12, "amount": 13}, "billed_not_logged", 2, 2, "the counts differ"),
        ({"ours": 10, "cost": 10, "billed": 7, "amount": 6}, "logged_not_billed", -3, -3, "the counts differ"),
        ({"ours": 10, "cost": 10, "billed": 0, "amount": 0}, "logged_not_billed", -10, -10, "nothing on the bill"),
        ({"billed": 7, "amount": 6}, "billed_not_logged", 7, 6, "no call in the logs"),
        ({"amount": 6}, "billed_not_logged", 0, 6, "no call in the logs"),
        ({"ours": 10, "cost": 10, "amount": 0}, "logged_not_billed", 0, -10, "nothing on the bill"),
    ],
)
def test_tokens_of_one_side_are_named(
    cell: dict[str, Any], cause: str, tokens: int, amount: int, evidence: str
) -> None:
    made = make_cell(**cell)
    assert _one(rules.settle_missing, made) == [(cause, tokens, amount)]
    assert made.findings[0].evidence == evidence


def test_counts_from_amounts_say_so() -> None:
    cell = make_cell(ours=10, cost=10, amount=12)
    cell.gap, cell.implied = Decimal(2), True
    assert _one(rules.settle_missing, cell) == [("billed_not_logged", 2, 2)]
    assert cell.findings[0].evidence == "counted from the amount"


def test_amounts_without_counts_on_both_sides_are_left_to_the_prices() -> None:
    assert not _one(rules.settle_missing, make_cell(ours=10, cost=10, amount=12))
    assert not _one(rules.settle_missing, make_cell(ours=10, cost=10, billed=10, amount=0))
    assert not _one(rules.settle_missing, make_cell(TOOL, billed=3, amount=3))


@pytest.mark.parametrize(
    ("amount", "taken"), [("11", 1), ("10.99", "0.4"), ("18", 8), ("18.01", "0.4"), ("12", 2)]
)
def test_a_row_of_all_classes_is_explained_by_its_tokens_where_its_rates_allow(amount: str, taken: str | int) -> None:
    """One more token, at a rate between that of input (1) and of output (8)."""
    parts = [
        make_part(quantity=Decimal(2), cost=Decimal(2)), make_part(quantity=Decimal(1), cost=Decimal(8)),
        make_part(quantity=Decimal(0), cost=Decimal(1)), make_part(quantity=Decimal(9), cost=None),
    ]  # fmt: skip
    cell = make_cell(None, ours=25, cost=10, billed=26, amount=amount, parts=parts)
    assert _one(rules.settle_missing, cell) == [("billed_not_logged", 1, Decimal(taken))]
    twice = 10 + 2 * (Decimal(amount) - 10)
    two = make_cell(None, ours=25, cost=10, billed=27, amount=twice, parts=parts)
    assert _one(rules.settle_missing, two) == [("billed_not_logged", 2, 2 * Decimal(taken))]
    of_class = make_cell("input", ours=25, cost=10, billed=26, amount=amount, parts=parts)
    assert _one(rules.settle_missing, of_class) == [("billed_not_logged", 1, Decimal("0.4"))]


def test_a_row_of_all_classes_without_rates_or_amount_is_worth_its_average() -> None:
    assert _one(rules.settle_missing, make_cell(None, ours=25, cost=10, billed=26, amount=12)) == [
        ("billed_not_logged", 1, Decimal("0.4"))
    ]
    parts = [make_part(quantity=Decimal(2), cost=Decimal(2))]
    assert _one(rules.settle_missing, make_cell(None, ours=25, cost=10, billed=26, parts=parts)) == [
        ("billed_not_logged", 1, None)
    ]


# --- Money ------------------------------------------------------------------------------------------------------------


def test_what_rounding_can_hide_is_rounding_and_the_rest_is_not() -> None:
    assert _one(rules.settle_rounding, make_cell(cost=1, amount=2, slack=Decimal(1))) == [("rounding", 0, 1)]
    assert not _one(rules.settle_rounding, make_cell(cost=1, amount=3, slack=Decimal(1)))
    assert not _one(rules.settle_rounding, make_cell(cost=1, amount=1, slack=Decimal(1)))
    words = []
    for per_call in (False, True):
        cell = make_cell(None, cost=1, amount=2, slack=Decimal(1))
        _settle(rules.settle_rounding, cell, per_call=per_call)
        words.append(cell.findings[0].evidence)
    assert words == ["less than the bill's last place", "less than the last place of the stated cost"]


def test_what_is_left_says_why() -> None:
    cells = [make_cell(ours=4, cost=1, unpriced=Decimal(2), amount=3), make_cell("output", ours=4, cost=1, amount=3)]
    _settle(rules.settle_leftovers, *cells)
    evidence = [cell.findings[0].evidence for cell in cells]
    assert evidence == ["calls of the row have no price", "no rule gives this amount"]


def test_what_is_left_is_unpriced_or_unexplained() -> None:
    small = make_cell(ours=4, cost=1, unpriced=Decimal(2), amount="1.5")
    assert _one(rules.settle_leftovers, small) == [("unpriced_model", 0, Decimal("0.5"))]
    unpriced: dict[str, Any] = {"ours": 4, "cost": 1, "unpriced": Decimal(2)}
    assert _one(rules.settle_leftovers, make_cell(**unpriced, amount=3)) == [("unpriced_model", 0, 2)]
    assert _one(rules.settle_leftovers, make_cell(**unpriced, amount="0.5")) == [("unexplained", 0, Decimal("-0.5"))]
    assert _one(rules.settle_leftovers, make_cell(ours=4, cost=1, amount=3)) == [("unexplained", 0, 2)]
    assert _one(rules.settle_leftovers, make_cell(ours=4, cost=1, billed=5, amount=1)) == [("unexplained", 1, 0)]
    assert not _one(rules.settle_leftovers, make_cell(ours=4, cost=1, billed=4, amount=1))
    assert _one(rules.settle_leftovers, make_cell(ours=4, billed=5)) == [("unexplained", 1, None)]


def test_every_rule_is_asked_and_nothing_is_left_without_a_name() -> None:
    cell = make_cell(ours=10, cost=10, billed=12, amount=17)
    rules.explain(make_case([cell]))
    assert (cell.gap, cell.rest) == (0, 0)
    assert [found.cause for found in cell.findings] == ["billed_not_logged", "unexplained"]
    call = make_cell(None, ours=10, cost=10, amount=0)
    rules.explain(make_case([call], per_call=True))
    assert [found.evidence for found in call.findings] == ["the stated cost is 0 and the call has tokens"]


# --- One call ---------------------------------------------------------------------------------------------------------


def test_a_call_that_is_stated_to_cost_nothing_is_not_billed() -> None:
    assert _one(rules.settle_free_calls, make_cell(None, ours=9, cost=2, amount=0)) == [("logged_not_billed", 0, -2)]
    assert not _one(rules.settle_free_calls, make_cell(None, ours=9, cost=2, amount=1))
    assert not _one(rules.settle_free_calls, make_cell(None, ours=9, cost=0, amount=0))


@pytest.mark.parametrize(("amount", "found"), [(5, True), (3, True), (2, True), (8, False), (10, False), (4, False)])
def test_a_cost_of_one_run_lacks_the_others(amount: int, found: bool) -> None:
    costs = ((0, 4), (0, 1), (1, 3), (2, 2))
    parts = [make_part(line=line, cost=Decimal(cost)) for line, cost in costs]
    parts.append(make_part(line=2, cost=None))
    cell = make_cell(None, ours=9, cost=10, amount=amount, parts=parts)
    assert _one(rules.settle_call_runs, cell) == ([("missing_iterations", 0, amount - 10)] if found else [])


def test_a_call_of_one_run_lacks_none() -> None:
    cell = make_cell(None, ours=9, cost=4, amount=5, parts=[make_part(cost=Decimal(4))], slack=Decimal(1))
    assert not _one(rules.settle_call_runs, cell)
    two = make_cell(None, ours=9, cost=4, amount=3, parts=[make_part(cost=Decimal(cost), line=cost) for cost in (1, 3)])
    assert _one(rules.settle_call_runs, two) == [("missing_iterations", 0, -1)]
    assert two.findings[0].evidence == "the stated cost is that of one of the call's runs"


READ = {"token_class": "cache_read", "unit": "cache_read", "quantity": Decimal(100), "cost": Decimal(5)}
WRITE_5M = {"token_class": "cache_write_5m", "unit": "cache_write_5m", "quantity": Decimal(10), "cost": Decimal(12)}
WRITE_1H = {"token_class": "cache_write_1h", "unit": "cache_write_1h", "quantity": Decimal(10), "cost": Decimal(20)}


@pytest.mark.parametrize(
    ("off", "words"),
    [
        (-37, "not at all"), (37, "twice"), (120, "as input, too"), (83, "at the price of input"),
        (-5, "not at all"), (5, "twice"), (100, "as input, too"), (95, "at the price of input"),
        (-32, "not at all"), (32, "twice"), (20, "as input, too"), (-12, "at the price of input"),
        (1, None), (12, None), (40, None),
    ],
)  # fmt: skip
def test_cached_tokens_of_a_call_may_be_counted_in_four_wrong_ways(off: int, words: str | None) -> None:
    plain = [
        make_part(unit="text_output", token_class="output", quantity=Decimal(1), cost=Decimal(7)),
        make_part(quantity=Decimal(3), cost=None), make_part(quantity=Decimal(30), cost=Decimal(30)),
    ]  # fmt: skip
    parts = [*plain, *(make_part(**cached) for cached in (READ, WRITE_5M, WRITE_1H))]
    cell = make_cell(None, ours=150, cost=74, amount=74 + off, parts=parts)
    assert _one(cache_rules.settle_call_caches, cell) == ([("cache", 0, off)] if words else [])
    assert not words or cell.findings[0].evidence == f"the stated cost has cached tokens {words}"


def test_a_call_without_input_or_caches_has_no_price_of_input() -> None:
    cell = make_cell(None, ours=150, cost=5, amount=105, parts=[make_part(**READ)])
    assert not _one(cache_rules.settle_call_caches, cell)
    free = make_part(**{**READ, "cost": Decimal(0)})
    plain = make_part(quantity=Decimal(30), cost=Decimal(30))
    assert not _one(cache_rules.settle_call_caches, make_cell(None, ours=150, cost=30, amount=130, parts=[free, plain]))
    same = make_cell(None, ours=150, cost=35, amount=35, parts=[make_part(**READ), plain], slack=Decimal(50))
    assert not _one(cache_rules.settle_call_caches, same)
