"""Token ratios between families, measured on recorded calls, and how far off they and our counts are.

    python -m tests.bench.token_ratios calls.jsonl.zst [...]

Prints the rows of ``callcost.tokens.token_ratios``, fitted on the recordings of one half of the projects, their errors
measured on the other half, and on the prompts that were recorded with models of two families; then, for such prompts,
how far their text counted for the second, and the ratio, are from what its provider counted, and how many are within
what nine of ten prompts of all other projects keep. A recording is a line of JSON: ``repo``,
``provider``, ``endpoint``, ``model_resp`` or ``model_req``, ``date``, ``request``, ``response``, ``flags``, ``media``
and ``u`` (prompt, completion, reasoning, reasoning_in_completion).
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import zstandard
from msgspec import structs

from callcost.logs.record_reader import RecordReader
from callcost.settings import ReadOptions, ReportOptions
from callcost.stages.analysis.target_models import needs_of
from callcost.stages.count.missing_usage import count_missing, open_counter
from callcost.tables import Call, Usage
from callcost.tokens.error_estimates import estimate_error
from callcost.tokens.model_families import Choice, choose
from callcost.tokens.requests.bodies import read_answer, read_prompt
from callcost.tokens.requests.types import TEXT
from callcost.tokens.token_ratios import MIN_CALLS, MOST_ERROR, SHORT, SIDES, name_of, ratio_between

MODELS = {
    "o200k_base": "gpt-4o", "cl100k_base": "gpt-4-turbo", "claude3": "claude-sonnet-4-5",
    "claude5": "claude-opus-4-8", "gemma3": "gemini-2.5-flash", "gemma2": "gemini-2.0-flash",
    "llama3": "llama-3.3-70b-instruct",
    "tekken": "mistral-small-latest", "qwen3": "qwen3-32b", "deepseek": "deepseek-chat",
    "nova": "amazon.nova-lite-v1:0",
}  # fmt: skip
TWINS = {"o200k_base": "gpt-5-mini", "claude3": "claude-3-haiku-20240307", "gemma3": "gemini-3-flash"}
MOST = 1200  # calls of a vocabulary
LEAST_ANSWER = 50  # tokens: of shorter ones a token is much
_USAGE = {"usage", "usageMetadata", "usage_metadata", "x_groq", "prompt_eval_count", "eval_count", "timings", "meta"}
_HIDDEN = ("has_image", "has_audio", "has_file", "builtin_tools", "server_state", "has_reasoning")


class Recorded(NamedTuple):
    """A recorded call, what its provider counted, and what is the same of it in every provider's words."""

    call: Call
    repo: str
    prompt: int
    answer: int
    key: str
    plain_prompt: bool
    plain_answer: bool


def load(paths: Sequence[str]) -> Iterator[Recorded]:
    """Yield the recordings whose usage can belong to their text, each once."""
    reader, seen = RecordReader(ReadOptions(dialect="pair")), set()
    for path in paths:
        with Path(path).open("rb") as packed:
            lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(packed), encoding="utf-8")
            for row, line in enumerate(lines, 1):
                found = _read(json.loads(line), row, reader)
                mark = found and (found.key, found.call.model, found.prompt, found.answer)
                if found is not None and mark not in seen:
                    seen.add(mark)
                    yield found


def _read(raw: dict[str, Any], row: int, reader: RecordReader) -> Recorded | None:
    used, flags = raw["u"], raw["flags"]
    if any(flags.get(name) for name in _HIDDEN) or raw.get("media") or raw.get("status") not in {None, 200}:
        return None
    text = len(json.dumps(raw["request"], ensure_ascii=False))
    prompt, answer = used.get("prompt") or 0, used.get("completion") or 0
    if not 0 < prompt <= 3 * text + 300 or raw["endpoint"] == "count_tokens":
        return None
    if used.get("reasoning"):
        answer = 0
    record = {
        "id": f"r{row}", "provider": raw["provider"], "endpoint": raw["endpoint"],
        "model": raw.get("model_resp") or raw.get("model_req"), "started_at": raw.get("date") or "2026-01-01T00:00:00Z",
        "request": _expand(raw["request"]), "response": _strip(_expand(raw["response"])),
    }  # fmt: skip
    (call,) = reader.read_value(record, row)
    if not isinstance(call, Call) or call.text_missing:
        return None
    shown = read_prompt(call.endpoint, call.request)
    words = [block.text for message in shown.messages for block in message.blocks if block.text]
    key = json.dumps([words, sorted(tool.name for tool in shown.tools), shown.form is not None])
    kinds = [block.kind for blocks in read_answer(call.response).alternatives for block in blocks]
    plain = not (needs_of(call) or shown.form)
    digest = hashlib.sha256(key.encode()).hexdigest() if words else ""
    return Recorded(call, raw["repo"], prompt, answer, digest, plain, set(kinds) == {TEXT})


def _strip(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _strip(inner) for name, inner in value.items() if name not in _USAGE}
    return [_strip(inner) for inner in value] if isinstance(value, list) else value


def _expand(value: Any) -> Any:
    """Put as many signs in the place of <<name:LENGTH>> as it says."""
    if isinstance(value, dict):
        return {name: _expand(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_expand(inner) for inner in value]
    found = re.fullmatch(r"<<(?!media|embedding)([\w-]+):(\d+)>>", value) if isinstance(value, str) else None
    return "A" * int(found[2]) if found else value


def count_as(calls: Sequence[Call], models: Sequence[str]) -> list[dict[str, int | None]]:
    """Count calls as if these models had answered them, each by whoever its name says, or whoever did."""
    copies = [
        structs.replace(
            call, model=model, provider=call.provider if model == call.model else None, usage=None, usage_source=None,
            flags=[],
        )
        for call, model in zip(calls, models, strict=True)
    ]  # fmt: skip
    with open_counter(ReportOptions(logs="-")) as counter:
        count_missing(copies, counter)
    used = [copy.usage or Usage() for copy in copies]
    return [{"prompt": each.prompt_tokens, "answer": each.completion_tokens} for each in used]


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _half(repo: str) -> int:
    return hashlib.sha256(repo.encode()).digest()[0] % 2


def _p90(errors: Sequence[float]) -> float:
    return sorted(errors)[int(0.9 * (len(errors) - 1))]


def pair_up(recorded: Sequence[Recorded]) -> list[tuple[Recorded, Recorded]]:
    """Return the prompts that models of two families were asked: (of the one, of the other) and the other way round."""
    prompts: dict[str, list[Recorded]] = defaultdict(list)
    for one in recorded:
        if one.key:
            prompts[one.key].append(one)
    pairs = {
        (first.call.model, second.call.model, key): (first, second)
        for key, group in prompts.items()
        for first in group
        for second in group
        if _choice_of(first).family != _choice_of(second).family
    }
    return list(pairs.values())


def _choice_of(one: Recorded) -> Choice:
    return choose(one.call.model, one.call.provider, one.call.endpoint)


def _side_of(first: Recorded) -> str:
    return "short_prompt" if first.prompt < SHORT else "prompt"


def print_rows(recorded: Sequence[Recorded], paired: Sequence[tuple[Recorded, Recorded]]) -> None:
    """Print a row per side and pair of vocabularies: fitted on one half of the projects, its error of the other."""
    both: dict[tuple[str, str, str], list[tuple[int, int]]] = defaultdict(list)
    for first, second in paired:
        if first.plain_prompt:
            side = _side_of(first)
            names = [name_of(side, _choice_of(each)) for each in (first, second)]
            both[side, names[0], names[1]].append((first.prompt, second.prompt))
    own = count_as([one.call for one in recorded], [one.call.model for one in recorded])
    for vocabulary, calls in sorted(_by_vocabulary(recorded, own).items()):
        for other, model in sorted(MODELS.items()):
            named = TWINS.get(vocabulary) if other == vocabulary else model
            if vocabulary not in MODELS or named is None:
                continue
            counts = count_as([one.call for one, _ in calls], [named] * len(calls))
            for side in SIDES:
                kind = "answer" if side == "answer" else "prompt"
                pairs = [
                    (_half(one.repo), getattr(one, kind), count[kind] or 0)
                    for (one, fits), count in zip(calls, counts, strict=True)
                    if fits[kind] and _is_of(side, one)
                ]
                pairs = [pair for pair in pairs if pair[1] and pair[2]]
                _print_row(side, vocabulary, other, pairs, both[side, vocabulary, other])


def _by_vocabulary(
    recorded: Sequence[Recorded], own: Sequence[dict[str, int | None]]
) -> dict[str, list[tuple[Recorded, dict[str, bool]]]]:
    """Return calls by the vocabulary of their model, and whether what is stated of each side can be of its text."""
    order = sorted(range(len(recorded)), key=lambda n: hashlib.sha256(f"{recorded[n].key}{n}".encode()).digest())
    by: dict[str, list[tuple[Recorded, dict[str, bool]]]] = defaultdict(list)
    for number in order:
        one, counts = recorded[number], own[number]
        choice = _choice_of(one)
        vocabulary = choice.wanted
        fits = {kind: _fits(counts[kind], getattr(one, kind)) for kind in ("prompt", "answer")}
        fits["prompt"] &= name_of("prompt", choice) == vocabulary
        if any(fits.values()) and len(by[vocabulary]) < MOST:
            by[vocabulary].append((one, fits))
    return by


def _is_of(side: str, one: Recorded) -> bool:
    """Say whether a call tells of a side: plain text, of answers of some length."""
    if side == "answer":
        return one.plain_answer and one.answer >= LEAST_ANSWER
    return one.plain_prompt and (one.prompt < SHORT) == (side == "short_prompt")


def _fits(counted: int | None, stated: int) -> bool:
    """Say whether a stated count can be of a text: some recordings were edited by hand, or lack a part."""
    return counted is not None and abs(counted - stated) <= 0.25 * stated


def _print_row(
    side: str, one: str, other: str, pairs: Sequence[tuple[int, int, int]], both: Sequence[tuple[int, int]]
) -> None:
    fitted, scored = ([pair[1:] for pair in pairs if pair[0] == half] for half in (0, 1))
    if min(len(fitted), len(scored)) < MIN_CALLS:
        return
    ratio = statistics.median(count / stated for stated, count in fitted)
    if one == other and len(both) >= MIN_CALLS:
        ratio = statistics.median(there / here for here, there in both)
    errors = [_p90([abs(ratio * here - there) / there for here, there in rows]) for rows in (scored, both) if rows]
    error = max(errors if len(both) >= MIN_CALLS else errors[:1])
    if error > MOST_ERROR:
        return
    _say(f"{side} {one} {other} {len(pairs)} {round(ratio, 3):.3f} {round(error, 3):.3f}")


class Measured(NamedTuple):
    """How far off a prompt is that two providers counted: relative errors.

    Attributes:
        repo: project that it was recorded by.
        counted: of its text, counted for the second model.
        scaled: of the first provider's count times the ratio; None: there is none, or it is not of plain text.
        counter: that our counts of the second model are said to have.
    """

    repo: str
    counted: float
    scaled: float | None
    counter: float


def print_errors(paired: Sequence[tuple[Recorded, Recorded]]) -> None:
    """Print how far texts counted for another model, and ratios, are from what its provider counted."""
    by_model: dict[str, list[tuple[Recorded, Recorded]]] = defaultdict(list)
    for pair in paired:
        by_model[pair[1].call.model].append(pair)
    rows: dict[tuple[str, str, str], list[Measured]] = defaultdict(list)
    for model, found in by_model.items():
        counts = count_as([one.call for one, _ in found], [model] * len(found))
        for (first, second), count in zip(found, counts, strict=True):
            side, choices = _side_of(first), [_choice_of(each) for each in (first, second)]
            ratio = ratio_between(side, *choices) if first.plain_prompt else None
            scaled = ratio and abs(ratio.ratio * first.prompt / 1e6 - second.prompt) / second.prompt
            counted = abs((count["prompt"] or 0) - second.prompt) / second.prompt
            counter = estimate_error(choices[1], "chat", "plain")[1]
            key = side, name_of(side, choices[0]), name_of(side, choices[1])
            rows[key].append(Measured(first.repo, counted, scaled, counter))
    _say(f"\n{'':12} {'recorded as':14} {'counted as':14} {'n':>5} {'counted: median':>16} {'p90':>7} "
          f"{'ratio: n':>9} {'median':>7} {'p90':>7} {'within':>7}")  # fmt: skip
    kept: list[bool] = []
    for names, measured in sorted(rows.items(), key=lambda item: -len(item[1])):
        within, scaled_errors = _within(measured), [each.scaled for each in measured if each.scaled is not None]
        kept += within
        if len(measured) >= 10:
            errors = [each.counted for each in measured]
            line = f"{names[0]:12} {names[1]:14} {names[2]:14} {len(errors):>5} {statistics.median(errors):>16.1%}"
            line += f" {_p90(errors):>7.1%}"
            if within:
                line += f" {len(within):>9} {statistics.median(scaled_errors):>7.1%} {_p90(scaled_errors):>7.1%}"
                line += f" {sum(within) / len(within):>7.1%}"
            _say(line)
    _say(f"{len(kept)} prompts by ratio, within what other projects' keep: {sum(kept) / len(kept):.1%}")


def _within(measured: Sequence[Measured]) -> list[bool]:
    """Say of each prompt with a ratio whether its error is within that of nine of ten prompts of other projects."""
    found: list[bool] = []
    known = [(each.repo, each.scaled, each.counter) for each in measured if each.scaled is not None]
    for project in sorted({repo for repo, _, _ in known}):
        others = [scaled for repo, scaled, _ in known if repo != project]
        if len(others) >= MIN_CALLS:
            bound = _p90(others) + 1e-6
            found += [scaled <= bound + counter for repo, scaled, counter in known if repo == project]
    return found


if __name__ == "__main__":
    everything = list(load(sys.argv[1:]))
    _say(f"{len(everything)} calls")
    paired = pair_up(everything)
    print_rows(everything, paired)
    print_errors(paired)
