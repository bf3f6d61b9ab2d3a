"""Whose a cause is: what each side states decides, parts add up exactly, and what nothing tells is nobody's."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.errors import ConfigError
from callcost.logs.bills.owners import owner_of, owners_of, read_keys
from callcost.stages.reconcile.attribution import Side, attribute
from callcost.stages.reconcile.cells import Cell, CellKey
from callcost.tables import UNATTRIBUTED
from tests.stages.reconcile.by_hand import make_cell

Stated = dict[str | None, tuple[int, str]]  # owner -> tokens, money


def _side(stated: Stated, *, counts: bool = True, amounts: bool = True) -> Side:
    side = Side()
    for owner, (tokens, money) in stated.items():
        if counts:
            side.counts[owner] += Decimal(tokens)
        if amounts:
            side.amounts[owner] += Decimal(money)
    return side


def _cell(billed: Stated, ours: Stated, *causes: tuple[str, int, str], counts: bool = True) -> Any:
    tokens, money = zip(*ours.values(), strict=True) if ours else ((), ())
    asked, amounts = zip(*billed.values(), strict=True)
    cell = make_cell(
        ours=sum(tokens), cost=sum(map(Decimal, money)), billed=sum(asked) if counts else None,
        amount=sum(map(Decimal, amounts)),
    )  # fmt: skip
    for cause, gap, amount in causes:
        cell.settle(cause, Decimal(gap), Decimal(amount), "measured", base=None if gap else cell.expected)
    return cell


def _owners(cell: Cell, billed: Side, ours: Side) -> Any:
    attribute([cell], {cell.key: billed}, {cell.key: ours})
    return sorted((found.cause, found.owner, found.tokens, found.amount) for found in cell.findings)


def test_amounts_with_owners_say_whose_each_cause_is() -> None:
    billed: Stated = {"web": (10, "10"), "night": (30, "15")}
    ours: Stated = {"web": (10, "10"), "night": (20, "20")}
    cell = _cell(billed, ours, ("billed_not_logged", 10, "10"), ("tier_or_batch", 0, "-15"))
    assert _owners(cell, _side(billed), _side(ours)) == [
        ("billed_not_logged", "night", 10, 10), ("tier_or_batch", "night", 0, -15),
    ]  # fmt: skip


def test_calls_that_no_bill_has_are_whose_they_are() -> None:
    ours: Stated = {"web": (10, "10"), None: (5, "5")}
    cell = make_cell(ours=15, cost=15, billed=0, amount=0)
    cell.settle("logged_not_billed", Decimal(-15), Decimal(-15), "nothing on the bill")
    assert _owners(cell, Side(), _side(ours)) == [
        ("logged_not_billed", UNATTRIBUTED, -5, -5), ("logged_not_billed", "web", -10, -10),
    ]  # fmt: skip


def test_more_money_than_ours_is_nobodys_where_one_side_states_no_owner() -> None:
    """That it is what web's calls cost is chance; and calls without a key may be anyone's."""
    billed: Stated = {None: (37, "37")}
    ours: Stated = {"web": (7, "7"), "night": (20, "20")}
    cell = _cell(billed, ours, ("billed_not_logged", 10, "10"))
    assert _owners(cell, _side(billed), _side(ours)) == [("billed_not_logged", UNATTRIBUTED, 10, 10)]
    billed, ours = {"web": (10, "10"), "night": (20, "20")}, {None: (20, "20")}
    cell = _cell(billed, ours, ("billed_not_logged", 10, "10"))
    assert _owners(cell, _side(billed), _side(ours)) == [("billed_not_logged", UNATTRIBUTED, 10, 10)]
    cell = _cell(billed, {None: (30, "33")}, ("discount", 0, "-3"))
    assert _owners(cell, _side(billed), _side({None: (30, "33")})) == [
        ("discount", "night", 0, -2), ("discount", "web", 0, -1),
    ]  # fmt: skip


def test_counts_with_owners_say_whose_tokens_are_missing() -> None:
    billed: Stated = {"web": (10, "10"), "night": (30, "30")}
    cell = _cell(billed, {"web": (10, "10")}, ("billed_not_logged", 30, "30"))
    counted = _side(billed, amounts=False)
    counted.amounts[None] = Decimal(40)
    assert _owners(cell, counted, _side({"web": (10, "10")})) == [("billed_not_logged", "night", 30, 30)]


@pytest.mark.parametrize(
    ("cause", "amount", "found"),
    [
        ("tier_or_batch", "-10", [("night", "-10")]),  # half of what night's calls cost
        ("tier_or_batch", "-11", [(UNATTRIBUTED, "-11")]),
        ("discount", "-2.7", [("night", "-2"), ("web", "-0.7")]),  # a factor on everything
    ],
)
def test_a_bill_without_owners_is_asked_for_sums(cause: str, amount: str, found: list[tuple[str, str]]) -> None:
    billed: Stated = {None: (27, str(27 + Decimal(amount)))}
    ours: Stated = {"web": (7, "7"), "night": (20, "20")}
    cell = _cell(billed, ours, (cause, 0, amount))
    split = _owners(cell, _side(billed), _side(ours))
    assert [(owner, money) for _, owner, _, money in split] == [(owner, Decimal(part)) for owner, part in found]


_MONEY = st.decimals(0, 99, places=6).map(str)
_SUMS = st.dictionaries(st.sampled_from(["a", "b", "c", None]), st.tuples(st.integers(0, 99), _MONEY), min_size=1)


@given(_SUMS, _SUMS, st.lists(st.decimals(-9, 9, places=9), max_size=3))
def test_parts_add_up_to_each_cause(billed: Stated, ours: Stated, amounts: list[Decimal]) -> None:
    cell = _cell(billed, ours, *((f"cause {n}", 0, str(amount)) for n, amount in enumerate(amounts) if amount))
    cell.settle("rest", cell.gap, cell.rest, "what is left")
    before = {found.cause: (found.tokens, found.amount) for found in cell.findings}
    attribute([cell], {cell.key: _side(billed)}, {cell.key: _side(ours)})
    for cause, (tokens, amount) in before.items():
        parts = [found for found in cell.findings if found.cause == cause]
        assert (sum(part.tokens for part in parts), sum(part.amount for part in parts)) == (tokens, amount)
        assert all(part.owner for part in parts)


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"api_key_id": "key_1", "project_id": "p"}, {"api_key": "key_1", "project": "p", "workspace": "p"}),
        ({"tags": '"team": "growth"'}, {"tag:team": "growth", "team": "growth"}),  # Azure leaves out the braces
        ({"labels": [{"key": "env", "value": "prod"}]}, {"tag:env": "prod"}),
        ({"resource_tags_user_team": "x", "tags": "{nonsense"}, {"tag:team": "x", "team": "x"}),
        ({"api_key_id": None, "tags": ""}, {}),
    ],
)
def test_records_of_bills_state_owners(record: dict[str, Any], found: dict[str, str]) -> None:
    assert owners_of(record) == found


def test_keys_join_ids_to_names(tmp_path: Path) -> None:
    path = tmp_path / "keys.csv"
    path.write_text("id,name,user\nkey_1,web,ann\n", encoding="utf-8")
    keys = read_keys(str(path))
    stated = {"api_key": "key_1"}
    assert owner_of(stated, ["api_key"], keys) == "web"
    assert owner_of(stated, ["user"], keys) == "ann"
    assert owner_of(stated, ["api_key", "user"], keys) == "web / ann"
    assert owner_of({"api_key": "key_2"}, ["user"], keys) is None
    path.write_text("key,name\nkey_1,web\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_keys(str(path))


def test_a_cell_without_a_cause_is_left_alone() -> None:
    cell = Cell(CellKey(None, "openai", None, None))
    attribute([cell], {}, {})
    assert cell.findings == []
