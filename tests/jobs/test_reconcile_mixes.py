"""Two and three faults at once: each amount has its own name, hardly any a wrong one, and all add up."""

from __future__ import annotations

import dataclasses
import random
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from callcost.jobs.reconcile import Reconciliation, reconcile_costs
from callcost.settings import ReconcileOptions
from callcost.tables import UNATTRIBUTED
from tests.conftest import LONG
from tests.jobs.bill_mixes import CAUSES, KEYS, Mix, make_mix, write_mix

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
COSTS = ("openai", "anthropic")
WITH_USAGE = (*COSTS, "anthropic-usage")
ROUNDING = Decimal("1e-12")
UNLABELLED = "batch_unlabelled"
_OTHERS = sorted(CAUSES.keys() - {UNLABELLED})
_RANDOM = random.Random(20261130)
_DRAWN = [frozenset(_RANDOM.sample(_OTHERS, _RANDOM.choice((2, 3)))) for _ in range(20)]
_HALVED = [  # nobody says that it is a batch
    frozenset((UNLABELLED, *_RANDOM.sample([one for one in _OTHERS if one != "batch_key"], _RANDOM.choice((1, 2)))))
    for _ in range(12)
]
_HARD = [  # what only hypotheses over all cells tell apart
    frozenset(("discount", "cheaper_model", "batch_key")), frozenset(("key_missing", "local_time", "cache_as_input")),
    frozenset(("copies", "discount", "key_missing")), frozenset(("discount", "cheaper_model", "cache_as_input")),
    frozenset(("batch_key", "cache_lost", "cheaper_model")), frozenset(("batch_key", "cache_as_input", "discount")),
    frozenset((UNLABELLED,)), frozenset((UNLABELLED, "cache_as_input", "discount")),
    frozenset((UNLABELLED, "key_missing", "cache_as_input")), frozenset((UNLABELLED, "cheaper_model", "local_time")),
]  # fmt: skip
_SINGLE = [frozenset((fault,)) for fault in sorted(CAUSES)]
MIXES = [*_HARD, *((*_SINGLE, *_DRAWN, *_HALVED) if LONG else ())]
OWNED = [  # each fault of one owner below one of everybody
    frozenset(("batch_key", "cache_as_input", "copies")), frozenset(("key_missing", "discount")),
    frozenset((UNLABELLED, "discount")), *((*_DRAWN, *_HALVED) if LONG else ()),
]  # fmt: skip
_UNTOLD = frozenset(("key_missing", "copies", "local_time", "cache_lost"))  # the log's tokens are not the bill's


def _reconcile(folder: Path, bills: tuple[str, ...], by: tuple[str, ...] | None = None) -> Reconciliation:
    keys = str(folder / "keys.csv") if by else None
    paths = tuple(str(folder / f"{bill}.json") for bill in bills)
    options = ReconcileOptions(logs=(str(folder / "log.jsonl"),), bills=paths, as_of=AS_OF, by=by, keys=keys)
    return reconcile_costs(options)


def _named(result: Reconciliation) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Return cause -> its amounts, and signs apart, after a look whether they add up."""
    causes = result.causes.filter(pl.col("against") == "bill")
    rows = result.rows.filter(pl.col("against") == "bill")
    assert causes["amount"].sum() == rows["difference"].sum()
    signed: dict[str, Decimal] = defaultdict(Decimal)
    gross: dict[str, Decimal] = defaultdict(Decimal)
    for cause, amount in causes.select("cause", "amount").iter_rows():
        signed[cause] += amount
        gross[cause] += abs(amount)
    return signed, gross


def _is_halved_unseen(mix: Mix, bills: tuple[str, ...]) -> bool:
    """Tell whether amounts are in part at half price, and nobody says of how many tokens.

    Without the usage report the log alone says whose tokens an amount of Anthropic's is for, and where it has others
    than the bill it says nothing.
    """
    return UNLABELLED in mix.faults and bills == COSTS and not mix.faults.isdisjoint(_UNTOLD)


def _astray(mix: Mix, result: Reconciliation) -> Decimal:
    """Return the money that does not stand under its right name."""
    signed, gross = _named(result)
    causes = {CAUSES[fault] for fault in mix.faults}
    off = sum((amount for cause, amount in gross.items() if cause not in {*causes, "rounding"}), Decimal(0))
    for cause in causes:
        least, most = mix.injected(cause)
        found = (gross if cause == "day_shift" else signed)[cause]
        off += max(least - found, found - most, Decimal(0))
    return off


def _cannot_be_told(mix: Mix, cause: str, *, counts: bool) -> bool:
    """Tell what the data do not show.

    Without the usage report nobody says what Anthropic's bill counts by key: which of the cached tokens are those of
    calls that the log has without them, and which are those of calls that it lacks, is known in proportion alone.
    """
    return not counts and mix.faults >= {"key_missing", "cache_lost"} and cause in {"cache", "billed_not_logged"}


@pytest.mark.parametrize("faults", MIXES, ids=lambda faults: "+".join(sorted(faults)))
def test_faults_at_once_have_their_own_names(tmp_path: Path, faults: frozenset[str]) -> None:
    mix = make_mix(faults, seed=23)
    write_mix(tmp_path, mix)
    explained = []
    for bills in (COSTS, WITH_USAGE):
        result = _reconcile(tmp_path, bills)
        explained.append(Decimal(result.manifest["bill"]["explained_percent"]))
        if _is_halved_unseen(mix, bills):
            continue
        signed, gross = _named(result)
        causes = {CAUSES[fault] for fault in faults}
        for cause in causes:
            least, most = mix.injected(cause)
            found = (gross if cause == "day_shift" else signed)[cause]
            room = Decimal("0.2") if _cannot_be_told(mix, cause, counts=len(bills) > 2) else Decimal("0.05")
            assert least - room * abs(least) <= found <= most + room * abs(most), (bills, cause, least, most, gross)
        astray = sum((amount for cause, amount in gross.items() if cause not in {*causes, "rounding"}), Decimal(0))
        assert astray <= Decimal(result.manifest["bill"]["stated"]) / 100, (bills, gross)
    assert explained[1] >= explained[0]  # more evidence is never worse


@pytest.mark.parametrize("seed", range(80 if LONG else 4))
def test_a_usage_report_never_makes_an_answer_worse(tmp_path: Path, seed: int) -> None:
    """What stands under its right name without the report does so with it, in months of few calls, too."""
    chance = random.Random(seed)
    pool = [one for one in CAUSES if one != ("batch_key" if seed % 2 else UNLABELLED)]
    mix = make_mix(frozenset(chance.sample(pool, chance.choice((1, 2, 3)))), seed, a_day=chance.randrange(3, 10))
    write_mix(tmp_path, mix)
    without, with_usage = (_astray(mix, _reconcile(tmp_path, bills)) for bills in (COSTS, WITH_USAGE))
    assert with_usage <= without + ROUNDING, mix.faults


@pytest.mark.parametrize("faults", OWNED, ids=lambda faults: "+".join(sorted(faults)))
def test_each_cause_is_its_owners(tmp_path: Path, faults: frozenset[str]) -> None:
    """Nobody has of another more than 1 % of the bill; nobody has only what no report names a key of."""
    mix = make_mix(faults, seed=5, a_day=4)
    write_mix(tmp_path, mix)
    for bills in (COSTS, WITH_USAGE):
        plain, result = _reconcile(tmp_path, bills), _reconcile(tmp_path, bills, by=("user",))
        if _is_halved_unseen(mix, bills):
            continue
        assert _named(result)[0] == _named(plain)[0]  # whose it is changes no cause
        found: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for cause, owner, amount in result.causes.select("cause", "owner", "amount").iter_rows():
            found[cause, owner] += amount
        whole = Decimal(result.manifest["bill"]["stated"])
        for cause in {CAUSES[fault] for fault in faults} - {"day_shift"}:
            nobodys = found[cause, UNATTRIBUTED]
            for key, owner in KEYS.items():
                mine = dataclasses.replace(mix, calls=[one for one in mix.calls if one[1] == key])
                least, most = mine.injected(cause)
                room = max(abs(least), abs(most), whole / 5) / 20
                least, most = least - room - max(nobodys, Decimal(0)), most + room - min(nobodys, Decimal(0))
                assert least <= found[cause, owner] <= most, (bills, cause, owner, nobodys)
            if bills == WITH_USAGE and cause != "server_tools":
                assert abs(nobodys) <= max(map(abs, mix.injected(cause))) / 20 + whole / 1000, (cause, nobodys)
    by_key = _named(_reconcile(tmp_path, WITH_USAGE, by=("user", "api_key")))
    assert by_key[0] == _named(plain)[0]  # logs state no key
