"""Batch outputs and the batch inputs that they answer, brought together by ``custom_id`` across the files of a run.

An input is a request without an answer. Where an output of the run answers it, it is context, and it gives its text to
an answer that states no usage, so that this can be counted; where none does, it stays refused. A ``custom_id`` is the
writer's own and comes again in the next batch: of several inputs that have it, the one is meant that has every id of
the output's file, and where these differ, none. Files are read for this only where a window holds what needs it; only
ids are kept. What is left without the other half is tallied (UNJOINED), so that a state reads it again when more comes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from callcost.errors import LogError
from callcost.logs.dialects import recogniser
from callcost.logs.io.inputs import STDIN, Input, find_inputs, read_raw
from callcost.logs.io.sniff import container_of
from callcost.logs.record.dialect import BATCH_INPUT
from callcost.logs.record_reader import objects_of
from callcost.logs.usage.usage import states_both_sides
from callcost.logs.values.json import canonical
from callcost.logs.values.json_path import first_filled
from callcost.stages.read.windows import Window
from callcost.tables import Call

_OUTPUTS = ("openai_batch", "anthropic_batch")
_BODIES = ("body", "params")
_SAMPLED_RECORDS = 10
UNJOINED = "unjoined"  # in the tally of an input: answers whose requests were not there, and requests without answers


class _Row(NamedTuple):
    """One record of a batch."""

    offset: int
    custom_id: str
    is_output: bool
    body: Any


class _File(NamedTuple):
    """The ids of a file's batch records."""

    source: Input
    asked: frozenset[str]
    answered: frozenset[str]


class Batches:
    """The batch files of a run, looked for when they are first asked for.

    Args:
        logs: the run's arguments.
        texts: whether the requests of all answers are wanted, not of those alone that counting lacks.
    """

    def __init__(self, logs: Sequence[str], *, texts: bool = False) -> None:
        self._texts = texts
        self._logs = [path for path in logs if path != STDIN]
        self._joined: dict[str, frozenset[int]] = {}  # path -> where requests begin that are answered

    def attach_requests(self, calls: Iterable[Call], source: Input) -> None:
        """Give the answers among calls the requests that they lack.

        Args:
            calls: changed in place.
            source: where they were read from.
        """
        lacking = [call for call in calls if _lacks_text(call, wanted=self._texts)]
        requests = self._requests_for(source, {str(call.own_id) for call in lacking}) if lacking else {}
        for call in lacking:
            call.request = requests.get(str(call.own_id))

    def join(self, window: Window, source: Input) -> None:
        """Attach requests to the answers of a window, and count the requests that were answered as context.

        Args:
            window: what was read; changed in place.
            source: where it was read from.
        """
        self.attach_requests(window.calls, source)
        if any(reject.detail == BATCH_INPUT for reject in window.rejects):
            if source.path not in self._joined:
                self._joined[source.path] = self._answered_rows(source)
            joined = self._joined[source.path]
            kept = [one for one in window.rejects if one.detail != BATCH_INPUT or one.byte_offset not in joined]
            window.tally["context"] += len(window.rejects) - len(kept)
            window.rejects = kept
        refused = sum(reject.detail == BATCH_INPUT for reject in window.rejects)
        unjoined = refused + sum(_lacks_text(call, wanted=False) for call in window.calls)
        if unjoined:
            window.tally[UNJOINED] += unjoined

    @property
    def were_asked(self) -> bool:
        """Whether what was read stands on other files of the run."""
        return "_files" in self.__dict__

    @cached_property
    def _files(self) -> dict[str, _File]:
        sources: list[Input] = []
        with contextlib.suppress(LogError):  # the run says so itself
            sources = find_inputs(self._logs)
        return {source.path: _survey(source) for source in sources if holds_batch(source)}

    def _askers(self, custom_id: str, answered: frozenset[str]) -> list[_File]:
        """Return the files that may have asked what a file with these ids answers under one of them."""
        holders = [file for file in self._files.values() if custom_id in file.asked]
        return holders if len(holders) < 2 else [file for file in holders if answered <= file.asked]

    def _requests_for(self, source: Input, wanted: set[str]) -> Mapping[str, Any]:
        """Return the request of each answer of a file that has exactly one."""
        own = self._files.get(source.path)
        answered = own.answered if own is not None else frozenset[str]()
        by_asker: dict[str, set[str]] = {}
        for custom_id in wanted:
            for file in self._askers(custom_id, answered):
                by_asker.setdefault(file.source.path, set()).add(custom_id)
        found: dict[str, dict[bytes, Any]] = {}
        for path, file in self._files.items():
            ids = by_asker.get(path, set())
            for row in _rows_of(file.source) if ids else ():
                if not row.is_output and row.custom_id in ids:
                    found.setdefault(row.custom_id, {})[canonical(row.body)] = row.body
        return {name: next(iter(bodies.values())) for name, bodies in found.items() if len(bodies) == 1}

    def _answered_rows(self, source: Input) -> frozenset[int]:
        """Return where the requests of a file begin that an output of the run answers."""
        own = self._files.get(source.path)
        if own is None:
            return frozenset()
        ids = {
            custom_id
            for file in self._files.values()
            for custom_id in file.answered & own.asked
            if own in self._askers(custom_id, file.answered)
        }
        return frozenset(row.offset for row in _rows_of(source) if not row.is_output and row.custom_id in ids)


def holds_batch(source: Input) -> bool:
    """Tell whether a file's first records are of a batch's input or output."""
    return next(_rows_of(source), None) is not None


def _lacks_text(call: Call, *, wanted: bool) -> bool:
    is_answer = call.source_format in _OUTPUTS and bool(call.own_id)
    return is_answer and not call.request and (wanted or not states_both_sides(call.usage))


def _survey(source: Input) -> _File:
    asked: set[str] = set()
    answered: set[str] = set()
    for row in _rows_of(source):
        (answered if row.is_output else asked).add(row.custom_id)
    return _File(source, frozenset(asked), frozenset(answered))


def _rows_of(source: Input) -> Iterator[_Row]:
    """Yield the batch records of a file; none, if its first records are something else."""
    if container_of(source.path) == "parquet":
        return
    for number, (offset, record) in enumerate(objects_of(read_raw(source))):
        row = _row_of(offset, record)
        if row is not None:
            yield row
        elif number < _SAMPLED_RECORDS:
            return


def _row_of(offset: int, record: dict[str, Any]) -> _Row | None:
    custom_id = record.get("custom_id")
    reader = recogniser().find(record) if type(custom_id) is str else None
    name = reader.dialect.name if reader is not None else ""
    if type(custom_id) is not str or name not in {*_OUTPUTS, "batch_input"}:
        return None
    is_output = name in _OUTPUTS
    return _Row(offset, custom_id, is_output, None if is_output else first_filled(record, _BODIES))
