"""Which vocabularies models need that are not installed, and what counts would be worth with them.

What counts are worth comes from the table of promises (error_estimates.py), of prompts and answers of a family as a
whole; where a vocabulary can be had is vocabulary_packages.py's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from callcost.tokens.error_estimates import GROUPS, Promise, promises
from callcost.tokens.model_families import Choice, choose

_LEAST_GAIN = 0.005  # of the share that is exact: some stand-ins count as the vocabulary does


class Need(NamedTuple):
    """A vocabulary that is not installed.

    Attributes:
        vocabulary: its name, as ``callcost tokens install`` takes it.
        models: the models that it is the vocabulary of.
        calls: of these models.
        exact_now: share of counts that are exact without it; None: not known.
        exact_then: the same with it.
        error_now: relative error that 90 % of counts keep to without it; None: not known.
        error_then: the same with it.
    """

    vocabulary: str
    models: tuple[str, ...]
    calls: int
    exact_now: float | None
    exact_then: float | None
    error_now: float | None
    error_then: float | None


def needs_of(models: Mapping[str, int], available: frozenset[str], obtainable: Iterable[str]) -> list[Need]:
    """Return the vocabularies that would count better than what is there, the most used first.

    Args:
        models: calls of each model, by its name as logged.
        available: names of the vocabularies that are installed beside the bundled ones.
        obtainable: names of those that can be installed.
    """
    found: dict[str, list[tuple[str, int, Choice]]] = defaultdict(list)
    for model, calls in models.items():
        choice = choose(model, available=available)
        if not choice.native and choice.wanted in obtainable:
            found[choice.wanted].append((model, calls, choice))
    needs = []
    for vocabulary, rows in found.items():
        most = max(rows, key=lambda row: row[1])[2]
        now, then = _promise(most, "~"), _promise(most, "")
        if now and then and then.exact - now.exact < _LEAST_GAIN:
            continue
        needs.append(Need(
            vocabulary, tuple(sorted(model for model, _, _ in rows)), sum(calls for _, calls, _ in rows),
            now and now.exact, then and then.exact, now and now.error, then and then.error,
        ))  # fmt: skip
    return sorted(needs, key=lambda need: (-need.calls, need.vocabulary))


def _promise(choice: Choice, sign: str) -> Promise | None:
    """Return the promise of a family as a whole."""
    return promises().get(f"{sign}{GROUPS.get(choice.framing, choice.framing)}")
