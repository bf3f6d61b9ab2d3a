"""Days on which a bill and the logs agree exactly, owner by owner: what they tell of all others.

Prompt and answer tokens of a model's day that are the same on both sides, to the last token, are no chance. Where they
agree with days cut in another time zone, that is the bill's zone; where they agree without the copies, these are not on
the bill; and an owner of the bill whom no owner of the logs agrees with, while all of ours agree with others, is not in
the logs. Prompts count cached tokens, so that a side that does not tell these apart agrees all the same.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from callcost.logs.bills.labels import OUTPUT
from callcost.stages.reconcile.call_evidence import SHIFTS, OwnerDays
from callcost.stages.reconcile.case import Agreement, Case
from callcost.stages.reconcile.cells import NOTHING, Cell

ALL = ""  # of all owners together
_FEW = 3

_Day = tuple[int | None, str | None, Decimal, Decimal]  # day, model, prompt and answer tokens


def find_agreement(provider: str, cells: Sequence[Cell], case: Case) -> Agreement | None:
    """Return what the days that agree say; None: there are too few of them."""
    billed, best = _billed_days(cells), None
    variants = case.evidence.owner_days(case.grain, provider) if billed else {}
    for shift in (0, *sorted(SHIFTS, key=lambda one: (abs(one), one))) if variants else ():
        found = {copied: _agreement(billed, days, shift) for copied, days in variants.items()}
        one = max(found.values(), key=lambda one: one.days)
        if best is None or one.days > best.days:
            days = {copied: one.days for copied, one in found.items()}
            best = one._replace(copied=None if len(set(days.values())) == 1 else days[True] > days[False])
        if best.whole:
            break
    return best if best is not None and best.days >= _FEW else None


def _billed_days(cells: Iterable[Cell]) -> dict[str, set[_Day]]:
    """Return owner -> days of the bill that have counts; of all owners together under ``ALL``."""
    sums: dict[str, dict[tuple[int | None, str | None], list[Decimal]]] = defaultdict(dict)
    for cell in cells:
        counts = cell.counted or {(lot.tier, lot.owner): lot.quantity or NOTHING for lot in cell.lots}
        for (_, owner), count in counts.items():
            for name in {owner, ALL}:
                pair = sums[name].setdefault((cell.key.day, cell.key.model), [NOTHING, NOTHING])
                pair[cell.key.token_class == OUTPUT] += count
    return {
        owner: {(*key, *pair) for key, pair in days.items() if pair[1]}  # type: ignore[misc]
        for owner, days in sums.items()
    }


def _agreement(billed: Mapping[str, set[_Day]], ours: OwnerDays, shift: int) -> Agreement:
    owners: dict[_Day, list[str]] = defaultdict(list)
    for owner, days in billed.items():
        for day in days:
            owners[day].append(owner)
    agreed: dict[str, int] = defaultdict(int)  # owner of the bill -> days that agree with one of ours
    matched: dict[str, bool] = {}  # owner of ours -> whether most of the days agree with one of the bill
    left: dict[str, int] = defaultdict(int)  # what owners of ours are called by -> days of theirs that do not agree
    for name, mine in ours.cut(shift).items():
        votes = Counter(owner for day in mine for owner in owners.get(day, ()) if (owner == ALL) == (name == ALL))
        owner, count = votes.most_common(1)[0] if votes else (ALL, 0)
        matched[name] = 2 * count >= len(mine)
        left[name.partition("=")[0]] += len(mine) - count
        if matched[name]:
            agreed[owner] = max(agreed[owner], count)
    known = {owner: count for owner, count in agreed.items() if owner != ALL}
    kinds = {name.partition("=")[0] for name in matched if name != ALL}
    whole = any(all(found for name, found in matched.items() if name.partition("=")[0] == kind) for kind in kinds)
    absent = frozenset({*billed} - {ALL, *known}) if whole and known else frozenset[str]()
    most = max(agreed.get(ALL, 0), sum(known.values()))
    return Agreement(most, min(left.values(), default=1) == 0, shift, None, absent)
