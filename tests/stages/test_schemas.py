"""Each column of every table says what it means, and its suffix says its unit."""

from __future__ import annotations

import pytest

from callcost.stages.tables.schemas import (
    Adjustments,
    Calls,
    Causes,
    Facts,
    Reconciliation,
    Rejects,
    RejectsOfPieces,
    Schema,
    SpendMeasures,
    VerdictRows,
)

UNITS = {"_tokens": "tokens", "_cost": "US dollars", "_at": "microseconds, UTC", "calls": "calls"}
TABLES = [Adjustments, Calls, Causes, Facts, Reconciliation, Rejects, RejectsOfPieces, SpendMeasures, VerdictRows]


@pytest.mark.parametrize("table", TABLES)
def test_every_column_has_a_meaning_and_the_unit_that_its_name_says(table: type[Schema]) -> None:
    assert table.names == tuple(table.types) == tuple(column.name for column in table.columns)
    assert all(column.doc for column in table.columns)
    for column in table.columns if table not in (Reconciliation, Causes) else ():  # their money is the bill's
        assert column.unit in {unit for suffix, unit in UNITS.items() if column.name.endswith(suffix)} | {
            "" if not column.name.endswith(tuple(UNITS)) else None,
            {"units": "each its own (prices/units.py)", "date": "days"}.get(column.kind),
            {"iterations": "tokens, US dollars", "difference": "US dollars"}.get(column.name),
            {"duplicates": "calls", "copies": "calls"}.get(column.name),
        }, column.name


def test_a_table_that_extends_another_has_its_columns_first() -> None:
    assert Facts.names[: len(Calls.names)] == Calls.names
    assert Facts.names[len(Calls.names)] == "line"
    assert RejectsOfPieces.names == (*Rejects.names, "piece")
