"""What callcost is measured against: LiteLLM, plain tiktoken, a bare parser, a bare join. Each at its best.

LiteLLM uses its bundled map (no network), writes no log, and answers a first few calls before the clock runs; its rows
are decoded by the stdlib, as in the loop a user would write. The parse floor is msgspec with the narrowest struct that
holds the fields that a report reads, and nothing after it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.floors import COLUMNS, type_of
from tests.bench.jobs import Job, Work

WARM = 50  # units done before the clock runs
BLOCK = 16 << 20  # bytes parsed at a time
Row = dict[str, Any]


def load_litellm() -> Any:
    """Return LiteLLM, quiet and without network."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ["LITELLM_LOG"] = "ERROR"
    litellm: Any = importlib.import_module("litellm")
    litellm.suppress_debug_info = True
    logging.disable(logging.ERROR)
    return litellm


def _lines(job: Job) -> Iterator[bytes]:
    first, end = job.share(job.rows)
    with Path(job.path).open("rb") as stream:
        yield from islice(stream, first, end)


# --- Usage missing ----------------------------------------------------------------------------------------------------


def count_with_litellm(job: Job) -> Work:
    """Decode each line, count its prompt and its answer, price it: the loop that LiteLLM's documentation shows."""
    litellm = load_litellm()
    token_counter, cost_per_token = litellm.token_counter, litellm.cost_per_token

    def work(lines: Iterator[bytes] | None = None) -> int:
        units = 0
        for line in _lines(job) if lines is None else lines:
            row = json.loads(line)
            answer = row["response"]["choices"][0]["message"]["content"]
            prompt = token_counter(model=row["model"], messages=row["messages"])
            completion = token_counter(model=row["model"], text=answer)
            cost_per_token(model=row["model"], prompt_tokens=prompt, completion_tokens=completion)
            units += 1
        return units

    work(islice(_lines(job), WARM))
    return work


def count_with_tiktoken(job: Job) -> Work:
    """Decode each line and count each of its texts; no framing, no price."""
    encode = {name: _encoding(name).encode_ordinary for name in ("o200k_base", "cl100k_base")}

    def work() -> int:
        units = 0
        for line in _lines(job):
            row = json.loads(line)
            count = encode["cl100k_base" if row["model"].startswith("gpt-3.5") else "o200k_base"]
            sum(len(count(message["content"])) for message in row["messages"])
            len(count(row["response"]["choices"][0]["message"]["content"]))
            units += 1
        return units

    return work


def _encoding(name: str) -> Any:
    """Return tiktoken's encoding from the ranks that callcost ships: its own download needs a network."""
    import tiktoken

    from callcost.tokens.engines.vocabularies import find_vocabulary, ranks_of, read_tokens

    row = find_vocabulary(name)
    ranks = ranks_of(read_tokens(row))
    encoding = tiktoken.Encoding(name, pat_str=row.pattern, mergeable_ranks=ranks, special_tokens=row.special)
    encoding.encode_ordinary("warm")
    return encoding


# --- Usage complete ---------------------------------------------------------------------------------------------------


class ChatOwner(msgspec.Struct, gc=False):
    """What a report reads of a payload's metadata."""

    user_api_key_user_id: str | None
    user_api_key_team_id: str | None


class Chat(msgspec.Struct, gc=False):
    """What a report reads of a chat."""

    id: str
    model: str
    custom_llm_provider: str
    status: str
    call_type: str
    startTime: float  # noqa: N815 - the names are the log's
    endTime: float  # noqa: N815
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    response_cost: float
    metadata: ChatOwner


class Lean(msgspec.Struct, gc=False):
    """What a report reads of a lean row."""

    request_id: str
    model: str
    custom_llm_provider: str
    status: str
    call_type: str
    startTime: str  # noqa: N815
    endTime: str  # noqa: N815
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    spend: float
    user: str
    team_id: str
    api_key: str


def _parse(job: Job, kind: type[msgspec.Struct]) -> Work:
    decoder = msgspec.json.Decoder(kind)
    first, end = job.share(Path(job.path).stat().st_size)

    def work() -> int:
        units = 0
        with Path(job.path).open("rb") as stream:
            stream.seek(max(first - 1, 0))
            if first:
                stream.readline()
            while stream.tell() < end:
                block = stream.read(min(BLOCK, end - stream.tell())) + stream.readline()
                units += len(decoder.decode_lines(block))
        return units

    return work


def parse_chats(job: Job) -> Work:
    """Read and parse chats."""
    return _parse(job, Chat)


def parse_lean(job: Job) -> Work:
    """Read and parse lean rows."""
    return _parse(job, Lean)


def parse_dialect(dialect: str, job: Job) -> Work:
    """Read and parse lines of a dialect."""
    return _parse(job, type_of(dialect))


def read_lean_with_duckdb(job: Job) -> Work:
    """Read the same columns of lean rows, on one thread; every value is looked at, none is kept."""
    import duckdb

    kinds = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE"}
    columns = {field.encode_name: kinds[field.type] for field in msgspec.structs.fields(Lean)}
    database = duckdb.connect(config={"threads": 1})

    def work() -> int:
        read = f"read_json(?, format = 'newline_delimited', columns = {columns})"
        return int(database.execute(f"SELECT COUNT(*), COUNT(COLUMNS(*)) FROM {read}", [job.path]).fetchall()[0][0])

    return work


def cost_flat_with_litellm(job: Job) -> Work:
    """Price rows of a Parquet file one by one; reading and decoding them is not in the time."""
    import pyarrow.parquet as pq

    first, end = job.share(job.rows)
    columns = ["model", "prompt_tokens", "completion_tokens", "total_tokens"]
    with pq.ParquetFile(job.path) as table:
        rows = next(table.iter_batches(batch_size=end, columns=columns)).to_pylist()[first:end]
    answers = [_answer(row["model"], {name: row[name] for name in columns[1:]}) for row in rows]
    return _completion_costs(answers)


# --- Prices -----------------------------------------------------------------------------------------------------------


def cost_calls_with_litellm(job: Job) -> Work:
    """Price the calls that the batch prices, one by one."""
    from tests.bench.ours import priced_calls

    known = _known_to_litellm()
    return _completion_costs([_answer(model, usage) for model, usage in priced_calls(job.rows) if model in known])


def _known_to_litellm() -> set[str]:
    """Return the models that LiteLLM prices; asking for each warms its caches, too."""
    from tests.bench.ours import priced_models

    litellm, known = load_litellm(), set()
    for model in priced_models():
        with contextlib.suppress(Exception):  # whatever it raises, the call is left out of its time
            litellm.cost_per_token(model=model, prompt_tokens=1, completion_tokens=1)
            known.add(model)
    return known


def _completion_costs(answers: list[Row]) -> Work:
    completion_cost = load_litellm().completion_cost

    def work(answers: list[Row] = answers) -> int:
        for answer in answers:
            completion_cost(completion_response=answer, model=answer["model"])
        return len(answers)

    work(answers[:WARM])
    return work


def _answer(model: str, usage: Mapping[str, Any]) -> Row:
    """Return a response body as a dictionary: LiteLLM prices it faster than its own ModelResponse."""
    return {"object": "chat.completion", "model": model, "choices": [], "usage": dict(usage)}


def cost_per_token_of_litellm(job: Job) -> Work:
    """Call LiteLLM's cost_per_token again and again."""
    from tests.bench.ours import priced_calls

    cost_per_token, known = load_litellm().cost_per_token, _known_to_litellm()
    calls = [
        (model, usage["prompt_tokens"], usage["completion_tokens"])
        for model, usage in priced_calls(job.rows)
        if model in known
    ]

    def work(calls: list[tuple[str, int, int]] = calls) -> int:
        for model, prompt, completion in calls:
            cost_per_token(model=model, prompt_tokens=prompt, completion_tokens=completion)
        return len(calls)

    work(calls[:WARM])
    return work


def join_in_float(job: Job) -> Work:
    """Join the same rows with a table of rates by model, and multiply and add over the same columns, in Float64."""
    import polars as pl

    from tests.bench.ours import UNIT_COLUMNS, float_rates, priced_facts

    facts, rates = priced_facts(job.rows).select("line_model", *UNIT_COLUMNS), float_rates()

    def work() -> int:
        joined = facts.join(rates, on="line_model", how="left", maintain_order="left")
        cost = pl.sum_horizontal(pl.col(name).fill_null(0) * pl.col(f"rate {name}") for name in UNIT_COLUMNS)
        return joined.select(cost.alias("total_cost")).height

    work()
    return work


WORKS: dict[str, Callable[[Job], Work]] = {
    "litellm counts": count_with_litellm,
    "tiktoken counts": count_with_tiktoken,
    "msgspec parses chats": parse_chats,
    "msgspec parses lean": parse_lean,
    **{f"msgspec parses {dialect}": partial(parse_dialect, dialect) for dialect in COLUMNS},
    "duckdb reads lean": read_lean_with_duckdb,
    "litellm costs flat": cost_flat_with_litellm,
    "litellm costs calls": cost_calls_with_litellm,
    "litellm cost_per_token": cost_per_token_of_litellm,
    "float join": join_in_float,
}
