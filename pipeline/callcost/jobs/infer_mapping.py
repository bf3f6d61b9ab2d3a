"""`callcost inspect --infer-mapping`: a draft of the mapping file for logs that no dialect knows."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from callcost.errors import LogError
from callcost.logs.dialects import recogniser, unwrapper
from callcost.logs.io.inputs import Input, find_inputs, read_raw
from callcost.logs.io.sniff import container_of
from callcost.logs.mapping.draft import Draft, draft_mapping
from callcost.logs.mapping.profile import profile_of
from callcost.logs.record_reader import objects_of
from callcost.stages.tables.parquet_rows import UNREADABLE_TABLE, read_rows

_SAMPLE = 1_000  # records that are looked at
_FEWEST = 20  # of each file, however many there are
_CATCH_ALL = "plain"  # reads any row with the usual names: its records are drafted for as well


def draft_for(logs: tuple[str, ...]) -> Draft:
    """Return a draft of the mapping for the records that no dialect knows by more than common names.

    Args:
        logs: files, folders, globs or "-".

    Raises:
        LogError: an argument matches no file, or every record is in a dialect that is known.
    """
    inputs = find_inputs(logs)
    each = max(_SAMPLE // max(len(inputs), 1), _FEWEST)
    records = [record for source in inputs for record in islice(_records_of(source), each)]
    unknown = [record for record in records if _is_unknown(record)]
    if not unknown:
        what = "every record is in a dialect that callcost knows" if records else "no record can be read"
        raise LogError(f"no mapping to draft: {what}", hint="Run inspect without --infer-mapping")
    name = re.sub(r"\W+", "_", Path(inputs[0].name).name.split(".")[0]).strip("_") or "mapping"
    return draft_mapping(profile_of(unknown), name)


def _is_unknown(record: dict[str, Any]) -> bool:
    reader = recogniser().find(record)
    return reader is None or reader.dialect.name == _CATCH_ALL


def _records_of(source: Input) -> Iterator[dict[str, Any]]:
    packed = container_of(source.path) == "parquet"
    for value in _rows_of(source) if packed else (value for _, value in objects_of(read_raw(source))):
        if type(value) is dict:
            rows = unwrapper().unwrap(value)
            yield from (row.value for row in rows if type(row.value) is dict) if rows is not None else [value]


def _rows_of(source: Input) -> Iterator[Any]:
    with contextlib.suppress(*UNREADABLE_TABLE):
        for batch in read_rows(source.path, 0, None):
            yield from batch.rows
