"""What tells copies of one call apart: digests of its request and of its record, without reading what it says."""

from __future__ import annotations

from typing import Any

from callcost.logs.record.dialect import FieldReader
from callcost.logs.record.origin import ORIGIN
from callcost.logs.values.json import UNFORESEEN, Refusal, digest, digest_of_record

Digests = tuple[bytes | None, bytes]  # of the request, where there is one, and of the record


def digests_of(reader: FieldReader, record: Any) -> Digests | None:
    """Return the digests that a record's call has.

    Args:
        reader: of its dialect, which is one that is read by columns.
        record: the record, decoded; it becomes a call by columns.

    Returns:
        The digests; None where only the call says them.
    """
    if type(record) is not dict or ORIGIN in record:
        return None
    dialect = reader.dialect
    try:
        laid = reader.with_columns_decoded(dialect.prepare(record) if dialect.prepare else record)
        distinct = None
        if not dialect.asks or any(map(laid.get, dialect.asks)):
            entry = reader.open(laid)
            distinct = dialect.asked(entry) if dialect.asked else entry.distinct
        return digest(distinct) if distinct else None, digest_of_record(laid)
    except (Refusal, *UNFORESEEN):
        return None
