"""The folder of a state: locked, opened, with what its last runs did beside the ledger.

The history is written when a run begins and when it ends, so that one that was killed is seen. No report depends on it:
what cannot be written is left out, and one that is damaged is begun anew, and says so.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from callcost import __version__
from callcost.errors import EXIT_FAILED, EXIT_INTERRUPTED, CallcostError, LogError, RunError, reason_of
from callcost.jobs.engine.manifest import RunClock
from callcost.jobs.state.closed_days import take_up_days
from callcost.logs.io.folders import Folder, folder_at, open_whole
from callcost.logs.io.temporary import refused_place
from callcost.readable import dollars, named, signed_dollars
from callcost.runners.entries import digest_of_document
from callcost.runners.ledger import Ledger, read_ledger
from callcost.runners.locks import hold_lock
from callcost.settings import StateOptions
from callcost.stages.report.adjustments import REPRICED

HISTORY = ".history.json"  # hidden: without a ledger beside it, nobody takes it for a log
MOST_RUNS = 100
_MOST_CHANGES, _MOST_NAMES = 50, 5
_BAD = ("unpriced", "partly_priced")  # price_status that leaves money out


@contextlib.contextmanager
def open_state(state: StateOptions, clock: RunClock) -> Iterator[Ledger]:
    """Lock a state folder and open its ledger; what a killed run left behind is removed.

    Raises:
        RunError: another run has the folder, or its ledger cannot be read.
        LogError: the store that the folder is in refuses or cannot be reached.
    """
    folder = folder_at(state.folder)
    with hold_lock(folder, clock.run_id) as assure:
        try:
            folder.prepare()
            ledger = Ledger(folder, assure, rebuild=state.rebuild)
            take_up_days(ledger, rebuild=state.rebuild)
            yield ledger
        except OSError as error:
            refused = refused_place(error, [folder.place])
            message = f"cannot work in {refused}: {error.strerror or error}"
            raise RunError(message, hint="Check its permissions and free space, then run again") from error


# --- History ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def told_run(clock: RunClock, ended: Callable[[dict[str, Any]], None]) -> Iterator[dict[str, Any]]:
    """Begin the record of a run, and when the block ends, tell how it did.

    Args:
        clock: name of the run, and when it began.
        ended: called with the whole record.

    Yields:
        The record, to which the block adds words_of_run.
    """
    record: dict[str, Any] = {"id": clock.run_id, "started_at": clock.started_at.isoformat(timespec="seconds")}
    record["callcost"] = __version__
    try:
        with _ends(record, clock):
            yield record
    finally:
        ended(record)


@contextlib.contextmanager
def record_run(ledger: Ledger, record: dict[str, Any], clock: RunClock) -> Iterator[None]:
    """Write down that a run began, and when the block ends, how."""
    runs, is_damaged = _read_history(ledger.folder)
    record |= {"history": "was damaged"} if is_damaged else {}

    def write() -> None:
        with contextlib.suppress(OSError, CallcostError):
            ledger.assure()
            document: dict[str, Any] = {"runs": [*runs[1 - MOST_RUNS :], record]}
            document["digest"] = digest_of_document(document)
            ledger.folder.write(HISTORY, json.dumps(document, indent=1).encode())

    write()
    try:
        with _ends(record, clock):
            yield
    finally:
        write()


@contextlib.contextmanager
def _ends(record: dict[str, Any], clock: RunClock) -> Iterator[None]:
    """Add to a record how long the block took, and how it failed."""
    try:
        yield
    except BaseException as error:
        record.update(_words_of_failure(error))
        raise
    finally:
        record["seconds"] = round((datetime.now(UTC) - clock.started_at).total_seconds(), 1)


def _words_of_failure(error: BaseException) -> dict[str, Any]:
    if isinstance(error, CallcostError):
        return {"exit_code": error.exit_code, "error": str(error)}
    stopped = isinstance(error, KeyboardInterrupt)
    return {"exit_code": EXIT_INTERRUPTED if stopped else EXIT_FAILED, "error": type(error).__name__}


def words_of_run(manifest: Mapping[str, Any], exit_code: int) -> dict[str, Any]:
    """Return what is remembered of a run that published, or found nothing new."""
    run, totals, status = manifest["run"], manifest["totals"], manifest["price_status"]
    changes = run["day_changes"]
    gates = [gate["gate"] for gate in [*manifest["gates"], *run["gates"]] if gate["crossed"]]
    return {
        "exit_code": exit_code,
        **{name: run[name] for name in ("inputs_read", "inputs_known", "bytes_read", "new_calls", "late_calls")},
        "calls": totals["calls"] or 0,
        "total_cost": totals["total_cost"],
        "rejects": manifest["records"]["rejects"],
        **{name: status.get(name, 0) for name in _BAD},
        "last_at": manifest["last_at"],
        "changes": changes[:_MOST_CHANGES],
        "changes_more": max(len(changes) - _MOST_CHANGES, 0),
        "gates": gates,
        "notes": {word: [len(names), *names[:_MOST_NAMES]] for word, names in run["notes"].items()},
        "dropped": len(run["dropped"]),
    }


def _read_history(folder: Folder) -> tuple[list[dict[str, Any]], bool]:
    """Return the runs that are remembered, the oldest first, and whether what was written of them is damaged."""
    data = folder.read(HISTORY)
    if data is None:
        return [], False
    try:
        document = json.loads(data)
        if document.pop("digest") == digest_of_document(document):
            return list(document["runs"]), False
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return [], True


def summary_of(record: Mapping[str, Any]) -> str:
    """Return a record of a run in one line, for people."""
    if "total_cost" not in record:
        return f"callcost: exit {record['exit_code']}: {record['error']}"
    words = [f"exit {record['exit_code']}", f"{record['new_calls']:,} new calls"]
    words.append(f"{dollars(Decimal(record['total_cost'] or 0))} in all")
    words += restated_lines(record["changes"])
    words += [f"{record[name]:,} {name.replace('_', ' ')}" for name in ("rejects", *_BAD) if record[name]]
    words += [f"{gate} crossed" for gate in record["gates"]]
    words += [f"{word}: {', '.join(names)}" for word, (_, *names) in record["notes"].items()]
    return f"callcost: {'; '.join(words)}"


def restated_lines(changes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what other prices did to days that were published, a line per cause.

    >>> restated_lines([{"day": "2026-11-20", "reason": REPRICED, "because": "litellm-1.110.0", "difference": "3.2"}])
    ['prices litellm-1.110.0: 2026-11-20 +$3.20']
    """
    causes: dict[str, list[str]] = {}
    for row in changes:
        if row["reason"] == REPRICED:
            cause = f"prices {row['because']}" if row["because"] else "corrected or own prices"
            causes.setdefault(cause, []).append(f"{row['day']} {signed_dollars(row['difference'])}")
    return [f"{cause}: {named(days)}" for cause, days in causes.items()]


def tell_others(record: Mapping[str, Any], notify: str | None, metrics: str | None) -> list[str]:
    """Post a record of a run, and write its figures where Prometheus' node exporter finds them.

    Args:
        record: see told_run.
        notify: address; None: nobody is told.
        metrics: path of the file; None: none is written.

    Returns:
        What could not be done: never a reason for a run to fail.
    """
    problems = []
    if notify is not None:
        from callcost.net.webhook import post_run  # noqa: PLC0415 - only who asks for it pays for HTTP

        problem = post_run(notify, {"text": summary_of(record), **record})
        problems += [f"--notify: {problem}"] * bool(problem)
    if metrics is not None:
        try:
            with open_whole(metrics) as file:
                file.write(_metrics_of(record).encode())
        except (OSError, LogError) as error:
            problems.append(f"--metrics: {reason_of(error)}")
    return problems


def _metrics_of(record: Mapping[str, Any]) -> str:
    """Return a record's figures in Prometheus' text format; a run that failed has few.

    https://prometheus.io/docs/instrumenting/exposition_formats/
    """
    began = datetime.fromisoformat(record["started_at"]).timestamp()
    figures = {"run_started_timestamp_seconds": int(began), "run_duration_seconds": record["seconds"]}
    figures |= {"run_exit_code": record["exit_code"]}
    if "total_cost" in record:
        figures |= {"cost_dollars": record["total_cost"] or 0, "gates_crossed": len(record["gates"])}
        names = ("calls", "new_calls", "late_calls", "inputs_read", "rejects", *_BAD)
        figures |= {name: record[name] for name in names}
    return "".join(f"# TYPE callcost_{name} gauge\ncallcost_{name} {value}\n" for name, value in figures.items())


def status_of(place: str, runs: int) -> dict[str, Any]:
    """Return how a state stands; nothing is locked or changed.

    Args:
        place: folder or URL of the state.
        runs: how many of the last runs.

    Returns:
        "runs", the oldest first; "days": calls and cost by day; "closed": day -> when; "quarantined": the inputs that
        the last run could not read to the end; "history": "damaged" where it is.

    Raises:
        LogError: it is no state.
        RunError: its ledger is damaged, or a newer callcost wrote it.
    """
    folder = folder_at(place)
    document, (history, is_damaged) = read_ledger(folder), _read_history(folder)
    if document is None and not history and not is_damaged:
        raise LogError(f"{place} is no state", hint="Give the folder of a report's --state")
    document = document or {}
    published = document.get("published", {})
    costs = published.get("costs", {})
    ended = [run for run in history if "exit_code" in run]
    return {
        "state": folder.place,
        "runs": history[-runs:],
        "days": [
            {"day": day, "calls": calls, "total_cost": costs.get(day)}
            for day, calls in sorted(published.get("days", {}).items())
        ],
        "closed": {day: words["closed_at"] for day, words in sorted(document.get("closed", {}).items())},
        "quarantined": ended[-1].get("notes", {}).get("quarantined", [0])[1:] if ended else [],
        "history": "damaged" if is_damaged else "whole",
    }
