"""What a report cannot write is said, with what helps; and whose budget names are hidden."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from callcost.errors import ConfigError, ReportError
from callcost.settings import Budget, FingerprintKey
from callcost.stages.report import delta_table
from callcost.stages.report.delta_table import DeltaDays, deltalake_module
from callcost.stages.report.pseudonyms import hidden_filters, hide_budget, pseudonym_of
from callcost.stages.report.publish import write_file
from callcost.stages.report.workbook import excel_module
from tests.stages.test_delta import FIRST, calls, held

KEY = FingerprintKey("0123456789abcdef")


@pytest.mark.parametrize(
    ("library", "find", "extra"),
    [("xlsxwriter", excel_module, "excel"), ("deltalake.exceptions", deltalake_module, "delta")],
)
def test_a_library_that_is_not_installed_is_said(
    library: str, find: Callable[[], Any], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError) as refused:
        find()
    assert refused.value.hint == f"pip install 'callcost[{extra}]'"


def test_a_file_that_cannot_be_written_is_said_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(ReportError, match=r"cannot write .*a\.csv: Is a directory"):
        write_file(str(tmp_path / "a.csv"), b"one")


class Library:
    """Refuse to write as often as it is told to, then write."""

    def __init__(self, errors: list[Exception]) -> None:
        self.errors = errors
        self.whole = deltalake_module()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.whole, name)

    def write_deltalake(self, *words: Any, **more: Any) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.whole.write_deltalake(*words, **more)


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr("callcost.stages.report.delta_table.time.sleep", found.append)
    return found


def _written(errors: list[Exception], out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(errors)
    with monkeypatch.context() as patch:
        patch.setattr(delta_table, "deltalake_module", lambda: library)
        DeltaDays(str(out)).replace({FIRST: calls("a")})


def test_a_commit_that_another_one_was_before_is_tried_again_ever_later(
    tmp_path: Path, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    exceptions = deltalake_module().exceptions
    _written([exceptions.CommitFailedError("no"), exceptions.DeltaError("it already exists")], tmp_path, monkeypatch)
    assert held(tmp_path) == {FIRST: ["a"]}
    assert len(naps) == 2
    naps.clear()
    errors = [exceptions.CommitFailedError(f"lost {number}\nwhy") for number in range(delta_table.ATTEMPTS + 1)]
    with pytest.raises(ReportError, match=rf"cannot write the table .*: lost {delta_table.ATTEMPTS - 1}\. See"):
        _written(errors, tmp_path, monkeypatch)
    assert len(errors) == 1
    longest = [min(0.05 * 2**number, 5) for number in range(delta_table.ATTEMPTS)]
    assert all(most / 2 <= nap <= most for nap, most in zip(naps, longest, strict=True))


@pytest.mark.parametrize("kind", ["DeltaError", "OSError"])
def test_what_no_other_writer_is_the_reason_of_is_not_tried_again(
    kind: str, tmp_path: Path, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError("disk") if kind == "OSError" else getattr(deltalake_module().exceptions, kind)("disk")
    with pytest.raises(ReportError, match="disk"):
        _written([error], tmp_path, monkeypatch)
    assert naps == []


def test_names_of_a_budget_are_hidden_and_other_columns_are_not() -> None:
    ana = pseudonym_of("user", "ana", KEY)

    def group(*pairs: tuple[str, str], key: FingerprintKey | None = KEY) -> tuple[tuple[str, str], ...]:
        return hide_budget(Budget(amount=5, period="week", group=pairs, name="mine"), key).group

    assert group(("user", "ana"), ("team", "a*")) == (("user", ana), ("team", "a*"))
    assert group(("user", ana), ("api_key", "")) == (("user", ana), ("api_key", ""))
    assert group(("user", "ana"), key=None) == (("user", "ana"),)
    hidden = hide_budget(Budget(amount=5, period="week", group=[("user", "ana")], name="mine"), KEY)
    assert (hidden.amount, hidden.period) == (Decimal(5), "week")
    assert "ana" not in hidden.name
    assert hide_budget(Budget(amount=5, group=[("team", "x")], name="mine"), KEY).name == "mine"
    for glob in ("a*", "a?"):
        with pytest.raises(ConfigError, match="budget: user cannot be a pattern"):
            group(("team", "x"), ("user", glob))


def test_filters_by_names_are_written_as_pseudonyms() -> None:
    where = [("user", "ana"), ("model", "gpt*")]
    assert hidden_filters(where, KEY) == {("user", "ana"): pseudonym_of("user", "ana", KEY)}
    assert hidden_filters(where, None) == {}
