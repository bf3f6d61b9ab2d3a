"""How exact our counts are on recorded calls, and what they may promise: ``python -m tests.bench.counting FILE...``.

A recording is a line of JSON: provider, endpoint, model_req, model_resp, date, repo, request, response, and what the
provider counted (``u``: prompt, completion, reasoning). Usage is taken out of the answer, the call is read and counted
as a report would, and the two are compared: per family, and per kind as error_estimates.py knows them. What is promised
of a kind is judged on repositories that it was not made from: each is left out once. ``--promises FILE`` writes
the table that the package carries, made from all of them; ``--models`` looks at some only.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, NamedTuple

import click
import zstandard

from callcost.logs.record_reader import RecordReader
from callcost.settings import ReadOptions, ReportOptions
from callcost.stages.count.missing_usage import count_frames, open_counter
from callcost.stages.read.sides import SIDES, frame_sides
from callcost.tables import Call
from callcost.tokens.error_estimates import HEAD, Promise, judge, kinds_of, shape_of_answer, shape_of_prompt, write_row
from callcost.tokens.frame import EXACT, SMALL, relative_error
from callcost.tokens.framing.messages import api_of
from callcost.tokens.model_families import Choice, choose
from callcost.tokens.requests.bodies import read_answer, read_offer, read_prompt

Recording = dict[str, Any]
_USAGE = frozenset((
    "usage", "usageMetadata", "usage_metadata", "x_groq", "prompt_eval_count", "eval_count", "timings", "token_count",
    "amazon-bedrock-invocationMetrics",
))  # fmt: skip
_ELSEWHERE = ("has_image", "has_audio", "has_file", "builtin_tools", "server_state")  # flags: more than text
_SEALED = re.compile(r"<<(?!media|embedding)[\w-]+:(\d+)>>")  # stands for so many characters
MIN_CALLS, MIN_REPOSITORIES, MIN_OF_A_REPOSITORY = 10, 2, 5
COVERED = 0.95  # the quantile that makes an error
SURE, NEVER_LESS = 0.97, 0.9  # what must be exact of a line: of all, in two repositories at least; in any other
LEAST, MOST = 0.01, 2.0  # of an error
# An error that few repositories made is too narrow for the next one, and so is that of every shape together. Both were
# measured with each repository left out, over all families.
WIDER = {1: 3.0, 2: 2.0, 3: 1.5, 4: 1.25}
WIDER_OF_ALL = 1.5


class Compared(NamedTuple):
    """One side of a recorded call."""

    repository: str
    choice: Choice
    api: str
    shape: str
    counted: int
    stated: int

    @property
    def hit(self) -> bool:
        """Whether the count is exact."""
        return self.counted == self.stated

    @property
    def error(self) -> float:
        """Return the error that a promise must have had, before small counts widen it."""
        return abs(self.counted - self.stated) / self.stated / (1 + SMALL / max(self.counted, 1))


def recordings(paths: Iterable[Path], models: str = "") -> Iterator[Recording]:
    """Yield the calls that are text only, each prompt once, without those whose usage was invented.

    Args:
        paths: files of recordings.
        models: a pattern; calls of a model whose name it is not found in are left out.
    """
    seen, wanted = set(), re.compile(models)
    for path in paths:
        with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as stream:
            for line in io.TextIOWrapper(stream, encoding="utf-8"):
                call = json.loads(line)
                if not wanted.search((call.get("model_resp") or call.get("model_req") or "").lower()):
                    continue
                request, prompt = call["request"], call["u"].get("prompt") or 0
                given = request.get("messages") or request.get("input") or request.get("contents") or request
                beyond = prompt > 3 * len(json.dumps(given, ensure_ascii=False)) + 300
                more = call.get("media") or any(call["flags"].get(name) for name in _ELSEWHERE)
                told = (call["prompt_key"], prompt)
                if more or beyond or not prompt or call.get("status") not in (None, 200) or told in seen:
                    continue
                if call["endpoint"] != "count_tokens":
                    seen.add(told)
                    yield call


def _without_usage(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_usage(inner) for key, inner in value.items() if key not in _USAGE}
    if isinstance(value, list):
        return [_without_usage(inner) for inner in value]
    sealed = _SEALED.fullmatch(value) if isinstance(value, str) else None
    return "A" * int(sealed[1]) if sealed else value


def _record_of(call: Recording) -> dict[str, Any]:
    return {
        "id": call["key"],
        "provider": call["provider"],
        "endpoint": call["endpoint"],
        "model": call.get("model_resp") or call.get("model_req"),
        "started_at": call.get("date") or "2026-01-01T00:00:00Z",
        "request": _without_usage(call["request"]),
        "response": _without_usage(call["response"]),
    }


def compare(calls: Iterable[Recording]) -> Iterator[Compared]:
    """Count recorded calls, and yield what came out beside what the provider counted, of what is in the answers."""
    reader = RecordReader(ReadOptions())
    with open_counter(ReportOptions(logs=())) as counter:
        left = iter(calls)
        while some := list(islice(left, 500)):
            found = []
            for call in some:
                read = [one for one in reader.read_value(_record_of(call), 1) if isinstance(one, Call)]
                for one in read:  # with the vocabularies that are installed, and as if none were
                    ways = dict.fromkeys((counter.available, frozenset[str]()))
                    choices = {choose(one.model, one.provider, one.endpoint, way): way for way in ways}
                    found += [(call, one, choice, frame_sides(one, SIDES, way)) for choice, way in choices.items()]
            counts = count_frames([frames for *_, frames in found], counter)
            for (call, one, choice, _), counted in zip(found, counts, strict=True):
                api = api_of(one.endpoint, one.request)
                shapes = (
                    shape_of_prompt(read_prompt(one.endpoint, one.request)),
                    shape_of_answer(read_answer(one.response), read_offer(one.request), choice),
                )
                for side, shape, stated in zip(SIDES, shapes, _stated(call, shapes[1]), strict=True):
                    if side in counted and stated > 0:
                        yield Compared(call["repo"], choice, api, shape, counted[side].tokens, stated)


def _stated(call: Recording, shape: str) -> tuple[int, int]:
    """Return the tokens of both sides: of an answer that shows reasoning all, of another what is visible."""
    usage = call["u"]
    prompt, answer, reasoning = (usage.get(name) or 0 for name in ("prompt", "completion", "reasoning"))
    beside = usage.get("reasoning_in_completion") is False or usage.get("total") == prompt + answer + reasoning
    if shape in ("answer.thoughts", "answer.sealed", "answer.summary"):
        return prompt, answer + (reasoning if beside else 0)
    return prompt, 0 if call["flags"].get("has_reasoning") else answer - (0 if beside else reasoning)


def promises_of(rows: Iterable[Compared]) -> dict[str, Promise]:
    """Return what may be promised of each kind."""
    found: dict[str, dict[str, list[Compared]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        for kind in kinds_of(row.choice, row.api, row.shape):
            found[kind][row.repository].append(row)
    return {kind: promise for kind, by in found.items() if (promise := _promise_of(kind, by))}


def _promise_of(kind: str, by_repository: dict[str, list[Compared]]) -> Promise | None:
    rows = [row for some in by_repository.values() for row in some]
    exact = statistics.fmean(row.hit for row in rows)
    shares = [statistics.fmean(row.hit for row in some) for some in by_repository.values()
              if len(some) >= MIN_OF_A_REPOSITORY]  # fmt: skip
    if kind.startswith("="):
        often = sum(share >= SURE for share in shares) >= MIN_REPOSITORIES
        sure = exact >= SURE and often and min(shares) >= NEVER_LESS
        return Promise(len(rows), len(by_repository), exact, LEAST) if sure else None
    if len(rows) < MIN_CALLS or ("." in kind and len(by_repository) < MIN_REPOSITORIES):
        return None
    # The calls of a repository to a host weigh as the root of their number, so that many alike do not decide alone.
    hosts = Counter((row.repository, row.choice.provider) for row in rows)
    weighed = sorted((row.error, hosts[row.repository, row.choice.provider] ** -0.5) for row in rows)
    so_far = accumulate(weight for _, weight in weighed)
    covers = COVERED * sum(weight for _, weight in weighed)
    error = next((error for (error, _), sum_so_far in zip(weighed, so_far, strict=True) if sum_so_far >= covers), 1.0)
    wide = error * WIDER.get(len(by_repository), 1.0) * (1.0 if kind.endswith(rows[0].shape) else WIDER_OF_ALL)
    return Promise(len(rows), len(by_repository), exact, min(MOST, max(LEAST, round(wide, 3))))


def held_out(rows: Sequence[Compared]) -> Iterator[tuple[Compared, str, bool]]:
    """Yield each side with what is promised by the other repositories, and whether it was kept."""
    for repository in sorted({row.repository for row in rows}):
        table = promises_of(row for row in rows if row.repository != repository)
        for row in rows:
            if row.repository == repository:
                method, error = judge(table, row.choice, row.api, row.shape)
                allowed = relative_error(error, row.counted, method) * row.stated + 0.5
                yield row, method, abs(row.counted - row.stated) <= allowed


def _show(title: str, groups: dict[str, list[tuple[bool, float, bool]]]) -> None:
    click.echo(f"\n{title:<34} {'sides':>7} {'exact':>7} {'median':>7} {'p95':>7} {'within':>7}")
    for name, some in sorted(groups.items(), key=lambda item: -len(item[1])):
        if len(some) >= 15:
            errors = sorted(error for _, error, _ in some)
            exact, kept = (statistics.fmean(one[place] for one in some) for place in (0, 2))
            middle, high = statistics.median(errors), errors[int(0.95 * (len(errors) - 1))]
            click.echo(f"{name:<34} {len(some):>7,} {exact:>7.1%} {middle:>7.1%} {high:>7.1%} {kept:>7.1%}")


def main() -> None:
    """Print how exact the counts are, and what promises are worth in repositories that they were not made from."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.counting", description=__doc__)
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--promises", type=Path, metavar="FILE", help="write the table that the package carries")
    parser.add_argument("--date", default="", help="of the table")
    parser.add_argument("--models", default="", metavar="PATTERN", help="of these models only; not for a table")
    asked = parser.parse_args()
    if asked.models and asked.promises:
        parser.error("the table of promises is made of all models")
    rows = list(compare(recordings(asked.recordings, asked.models)))
    groups: dict[str, dict[str, list[tuple[bool, float, bool]]]] = defaultdict(lambda: defaultdict(list))
    for row, method, kept in held_out(rows):
        seen = (row.hit, abs(row.counted - row.stated) / row.stated, kept)
        side = "answer" if row.shape.startswith("answer") else "prompt"
        for title, name in (("side", side), (f"{side}s of", row.choice.family), ("promised", method)):
            groups[title][name].append(seen)
        if method == EXACT:
            groups["exact in"][row.repository].append(seen)
    for title, found in groups.items():
        _show(title, found)
    if asked.promises:
        lines = [write_row(kind, promise) for kind, promise in sorted(promises_of(rows).items())]
        asked.promises.write_text(HEAD.format(date=asked.date, calls=len(rows)) + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
