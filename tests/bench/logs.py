"""Make the logs that the measurements run on: seeded, so that every run has the same bytes.

Chats are LiteLLM's StandardLoggingPayload, some 6.9 KB a line: ten messages of 257 letters, of which 57 % stood in the
log before, and the headers, keys and prices that LiteLLM writes beside them; usage is stated everywhere or nowhere.
Lean rows are LiteLLM's SpendLogs without text, as 500-byte lines and as Parquet with flat columns.
"""

from __future__ import annotations

import gzip
import json
import random
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

SEED = 20261122
MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "o3", "gpt-5", "gpt-3.5-turbo")
USERS = tuple(f"user-{number:03}" for number in range(200))
TEAMS = tuple(f"team-{number:02}" for number in range(12))
MESSAGES = 10
LETTERS = 257
REPEATED = 0.57  # of all texts, the answers included
ROW_GROUP = 500_000
FIRST_MOMENT = 1_730_000_000  # October 2024
SECONDS_PER_CALL = 0.7

_WORDS = """the of and to a in is that for it as was with be by on not he this are or his from at which but have an they
you were their one all we can has there been if more when will would who so no out up said what its about than into them
then two first new some time could these may do any after should people only many years where most made over well such
state like day how because even long before system line still right through same own great between another here part
world home under last without place three found general school against number work life must present order means give
house often large during number request answer question model token price report error server client response message
customer account payment invoice delivery address password because please thanks however therefore example function
return value string integer default argument parameter database query column index table transaction exception class
method object interface network protocol connection timeout memory processor thread machine language translation summary
paragraph sentence document section chapter analysis estimate variance probability distribution regression temperature
pressure chemistry biology medicine treatment diagnosis contract agreement liability regulation compliance jurisdiction
2024 15 100 3.5 42 7 1,200 v2 https://example.com/docs self.value = None; x += 1 {"key": [1, 2]} e.g. i.e. -- naive cafe
""".split()  # noqa: SIM905 - prose is easier to read than a list
_RARE = ("con", "ta", "ri", "ble", "mo", "ver", "si", "on", "per", "la", "tu", "de", "gra", "nt", "ex", "pli")
_KEY_COLUMNS = (
    "alias", "spend", "max_budget", "budget_reset_at", "org_id", "org_alias", "project_id", "project_alias",
    "team_alias", "end_user_id", "user_email", "request_route", "auth_metadata",
)  # fmt: skip
_HEADERS = (
    "x-ratelimit-limit-requests", "x-ratelimit-limit-tokens", "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens", "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens", "date", "server",
    "content-type", "transfer-encoding", "connection", "access-control-expose-headers", "openai-organization",
    "openai-processing-ms", "openai-project", "openai-version", "x-envoy-upstream-service-time", "x-request-id",
    "strict-transport-security", "cf-cache-status", "x-content-type-options", "cf-ray", "content-encoding", "alt-svc",
)  # fmt: skip
_MAP_FIELDS = (
    "max_tokens", "max_input_tokens", "max_output_tokens", "input_cost_per_token", "output_cost_per_token",
    "cache_creation_input_token_cost", "cache_read_input_token_cost", "input_cost_per_token_batches",
    "output_cost_per_token_batches", "input_cost_per_audio_token", "output_cost_per_audio_token", "output_vector_size",
    "supports_response_schema", "supports_vision", "supports_function_calling", "supports_tool_choice",
    "supports_prompt_caching", "supports_audio_input", "supports_web_search", "supports_reasoning", "tpm", "rpm",
)  # fmt: skip


class _Texts:
    """Texts of chats: system prompts from a few, the rest new or one that stood in the log not long before."""

    def __init__(self, rng: random.Random) -> None:
        rare = ["".join(rng.choices(_RARE, k=rng.randint(2, 5))) for _ in range(600)]
        words = rng.choices(_WORDS, weights=[1 / (rank + 5) for rank in range(len(_WORDS))], k=300_000)
        words = [rng.choice(rare) if rng.random() < 0.06 else word for word in words]
        self._rng = rng
        self._corpus = " ".join(words)
        self._recent: deque[str] = deque(maxlen=4_000)
        self._made = 0
        self._systems = [self._fresh() for _ in TEAMS]
        # Every chat begins with a system prompt that stood before; the other texts make up the rest of the share.
        self._again = (REPEATED * (MESSAGES + 1) - 1) / MESSAGES

    def system(self, team: int) -> str:
        """Return a team's system prompt."""
        return self._systems[team]

    def next(self) -> str:
        """Return the text of a message."""
        if self._recent and self._rng.random() < self._again:
            return self._recent[int(self._rng.random() * len(self._recent))]
        text = self._fresh()
        self._recent.append(text)
        return text

    def _fresh(self) -> str:
        self._made += 1
        end = f" (no. {self._made})."
        start = int(self._rng.random() * (len(self._corpus) - LETTERS))
        return self._corpus[start : start + LETTERS - len(end)].capitalize() + end


def chats(count: int, *, usage: bool) -> Iterator[dict[str, Any]]:
    """Yield calls with their texts.

    Args:
        count: of calls; the first of many are the same as all of few.
        usage: whether token counts are stated, or 0 everywhere, as LiteLLM writes where a provider sent none.
    """
    rng = random.Random(SEED)
    texts = _Texts(rng)
    for number in range(count):
        messages = [{"role": "system", "content": texts.system(number % len(TEAMS))}]
        messages += [
            {"role": ("assistant", "user")[place % 2], "content": texts.next()} for place in range(1, MESSAGES)
        ]
        counts = (rng.randint(500, 900), rng.randint(40, 90))
        yield _payload(rng, number, messages, texts.next(), counts if usage else None)


def short_chats(count: int) -> Iterator[dict[str, Any]]:
    """Yield calls of one short message, with usage."""
    rng = random.Random(SEED)
    for number in range(count):
        counts = (rng.randint(500, 900), rng.randint(40, 90))
        yield _payload(rng, number, [{"role": "user", "content": "When is high tide?"}], "At noon.", counts)


def _payload(
    rng: random.Random, number: int, messages: list[dict[str, str]], answer: str, counts: tuple[int, int] | None
) -> dict[str, Any]:
    model, started = rng.choice(MODELS), FIRST_MOMENT + number * SECONDS_PER_CALL
    prompt, completion = counts or (0, 0)
    usage = {"completion_tokens": completion, "prompt_tokens": prompt, "total_tokens": prompt + completion}
    identity = f"chatcmpl-{rng.getrandbits(96):024x}"
    headers = {name: f"{rng.getrandbits(32):x}" for name in _HEADERS}
    choice = {"finish_reason": "stop", "index": 0, "message": {"content": answer, "role": "assistant"}}
    return {
        "id": identity,
        "trace_id": f"{rng.getrandbits(128):032x}",
        "call_type": "acompletion",
        "cache_hit": None,
        "stream": None,
        "status": "success",
        "custom_llm_provider": "openai",
        "saved_cache_cost": 0.0,
        "startTime": round(started, 6),
        "endTime": round(started + 1.25, 6),
        "completionStartTime": round(started + 1.25, 6),
        "response_time": 1.25,
        "model": model,
        "metadata": {
            "user_api_key_hash": f"{rng.getrandbits(256):064x}",
            "user_api_key_user_id": rng.choice(USERS),
            "user_api_key_team_id": TEAMS[number % len(TEAMS)],
            **{f"user_api_key_{name}": None for name in _KEY_COLUMNS},
            "spend_logs_metadata": None,
            "requester_ip_address": "10.0.0.1",
            "requester_metadata": {},
            "applied_guardrails": [],
            "mcp_tool_call_metadata": None,
            "usage_object": None,
        },
        "cache_key": None,
        "response_cost": 0.0,
        **usage,
        "request_tags": ["prod"],
        "end_user": "",
        "api_base": "https://api.openai.com/v1",
        "model_group": model,
        "model_id": f"{rng.getrandbits(256):064x}",
        "requester_ip_address": None,
        "messages": messages,
        "response": {
            "id": identity,
            "created": int(started),
            "model": model,
            "object": "chat.completion",
            "system_fingerprint": None,
            "choices": [choice],
            **({"usage": usage} if counts else {}),
        },
        "model_parameters": {"stream": False, "max_retries": 0},
        "hidden_params": {"model_id": None, "cache_key": None, "additional_headers": headers, "batch_models": None},
        "model_map_information": {"model_map_key": model, "model_map_value": dict.fromkeys(_MAP_FIELDS, 1.25e-06)},
        "error_str": None,
        "error_information": {"error_code": "", "error_class": "", "llm_provider": "", "traceback": ""},
        "response_cost_failure_debug_info": None,
        "guardrail_information": None,
    }


def lean(count: int) -> Iterator[dict[str, Any]]:
    """Yield rows of SpendLogs: usage complete, no text."""
    rng = random.Random(SEED + 1)
    for number in range(count):
        prompt, completion = rng.randint(20, 4_000), rng.randint(1, 900)
        moment = datetime.fromtimestamp(FIRST_MOMENT + int(number * SECONDS_PER_CALL), UTC).replace(tzinfo=None)
        yield {
            "request_id": f"chatcmpl-{rng.getrandbits(96):024x}",
            "call_type": "acompletion",
            "api_key": "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b",
            "spend": 0.0,
            "total_tokens": prompt + completion,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "startTime": f"{moment}.846000",
            "endTime": f"{moment}.951000",
            "model": rng.choice(MODELS),
            "model_group": "chat",
            "custom_llm_provider": "openai",
            "user": rng.choice(USERS),
            "team_id": TEAMS[number % len(TEAMS)],
            "end_user": "",
            "cache_hit": "None",
            "status": "success",
        }


def write_days(folder: Path, days: int, calls: int) -> Path:
    """Write lean rows as a log a day, each of so many calls; all are there, or none."""
    rows, part, first = lean(days * calls), folder.with_suffix(".part"), datetime(2025, 12, 1)  # noqa: DTZ001 - as logs
    part.mkdir(exist_ok=True)
    for day in range(days):
        with (part / f"{first + timedelta(day):%Y-%m-%d}.jsonl").open("w", encoding="utf-8") as file:
            for number, row in enumerate(islice(rows, calls)):
                moment = first + timedelta(day, seconds=86_400 * number // calls)
                row |= {"startTime": f"{moment}.846000", "endTime": f"{moment}.951000"}
                file.write(json.dumps(row) + "\n")
    return part.rename(folder)


def write_billed(path: Path, count: int) -> Path:
    """Write plain rows of a month without text, and beside them, as ``.bill``, OpenAI's costs of them by key at 88 %.

    The bill has a tenth as many rows: one for each day, model, class of tokens and key.
    """
    rng, first = random.Random(SEED + 2), datetime(2026, 10, 1, tzinfo=UTC)
    rates = {"gpt-4o-2024-08-06": "2.5 1.25 10", "gpt-4o-mini-2024-07-18": "0.15 0.075 0.6"}
    rows: dict[tuple[int, str, str, int], tuple[int, Decimal]] = {}
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            day, key, model = number * 31 // count, rng.randrange(max(count // 1_850, 1)), list(rates)[number % 2]
            made = first + timedelta(days=day, seconds=rng.randrange(86_400), microseconds=rng.randrange(1, 10**6))
            classes = {"input": rng.randint(500, 9_000), "cached input": rng.randint(1, 999),
                       "output": rng.randint(50, 1_200)}  # fmt: skip
            plain, cached, output = classes.values()
            usage = {"prompt_tokens": plain + cached, "completion_tokens": output,
                     "prompt_tokens_details": {"cached_tokens": cached}}  # fmt: skip
            file.write(json.dumps({"id": f"c{number}", "timestamp": made.isoformat(), "provider": "openai",
                                   "model": model, "user": f"user-{key}", "usage": usage}) + "\n")  # fmt: skip
            for (name, tokens), rate in zip(classes.items(), rates[model].split(), strict=True):
                known, amount = rows.get((day, model, name, key), (0, Decimal(0)))
                rows[day, model, name, key] = known + tokens, amount + Decimal(rate) * tokens * 88 / 10**8
    buckets: dict[int, list[dict[str, object]]] = {}
    for (day, model, name, key), (tokens, amount) in rows.items():
        buckets.setdefault(day, []).append({
            "amount": {"value": str(amount), "currency": "usd"}, "line_item": f"{model}, {name}", "quantity": tokens,
            "project_id": "proj_1", "api_key_id": f"key_{key}", "quantity_unit": "tokens",
        })  # fmt: skip
    start = int(first.timestamp())
    data = [{"object": "bucket", "start_time": start + 86_400 * day, "end_time": start + 86_400 * (day + 1),
             "results": results} for day, results in buckets.items()]  # fmt: skip
    path.with_suffix(".bill").write_text(json.dumps({"object": "page", "data": data}), encoding="utf-8")
    return path


def write_jsonl(path: Path, records: Iterator[dict[str, Any]]) -> Path:
    """Write records as JSON lines, once; a file that is there is taken as it is."""
    if not path.exists():
        part = path.with_suffix(".part")
        with part.open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(record) + "\n" for record in records)
        part.rename(path)
    return path


def pack(plain: Path, path: Path) -> Path:
    """Compress a log as gzip or Zstandard, by the name that it gets."""
    pack_bytes = gzip.compress if path.suffix == ".gz" else zstandard.ZstdCompressor().compress
    path.write_bytes(pack_bytes(plain.read_bytes()))
    return path


def write_flat(path: Path, count: int) -> Path:
    """Write lean rows as Parquet with flat columns, once; beyond the first row group only the ids are new."""
    if not path.exists():
        rng = random.Random(SEED + 2)
        base = _timed(pa.Table.from_pylist(list(lean(min(count, ROW_GROUP)))))
        part = path.with_suffix(".part")
        with pq.ParquetWriter(part, base.schema, compression="zstd") as writer:
            for first in range(0, count, ROW_GROUP):
                rows = min(ROW_GROUP, count - first)
                digits = rng.randbytes(12 * rows).hex()
                ids = pa.array([f"chatcmpl-{digits[place : place + 24]}" for place in range(0, 24 * rows, 24)])
                writer.write_table(base.slice(0, rows).set_column(0, "request_id", ids))
        part.rename(path)
    return path


def _timed(rows: pa.Table) -> pa.Table:
    """Make the columns of times what a database exports: moments, not text."""
    kinds = [
        pa.field(field.name, pa.timestamp("us") if field.name.endswith("Time") else field.type) for field in rows.schema
    ]
    return rows.cast(pa.schema(kinds))
