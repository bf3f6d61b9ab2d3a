"""A month of calls as an analyst has them: users, teams, sessions, caches, failures, copies, long prompts, one odd day.

Rows are plain ones with stated usage, and text where a question needs it; the same size gives the same month. RATES are
what the models cost in it, written by hand, so that whoever checks figures takes nothing of callcost's.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.command import write_lines

FIRST, DAYS = datetime(2025, 9, 24, tzinfo=UTC), 31
ODD_DAY, ODD_USER = 28, "zoe"  # the day on which one user calls much more
LONG = 200_000  # tokens of a prompt, above which claude-sonnet-4-5 costs more
# Dollars a million tokens, as published: input, cache read, cache write, output; of prompts above LONG.
RATES = {
    "gpt-4o": (("2.5", "1.25", "0", "10"),) * 2,
    "gpt-4o-mini": (("0.15", "0.075", "0", "0.6"),) * 2,
    "o3": (("2", "0.5", "0", "8"),) * 2,
    "claude-sonnet-4-5": (("3", "0.3", "3.75", "15"), ("6", "0.6", "7.5", "22.5")),
}
_USERS = {name: team for team, names in {"search": "ana bo cy", "support": "dee eli", "lab": "zoe"}.items()
          for name in names.split()}  # fmt: skip
_TEXT = "where is my parcel it should have been here on monday please look into this order again thank you"
_WORDS = _TEXT.split()
NEVER_CACHED = "lab"  # a team whose prompts begin alike and are read from no cache, where they have a text


def month_rows(calls: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of so many calls, and of their copies."""
    rng = random.Random(calls)
    for number in range(calls):
        odd = rng.random() < 0.04
        day = ODD_DAY if odd else rng.choices(range(DAYS), [1 if (FIRST + timedelta(n)).weekday() > 4 else 4
                                                            for n in range(DAYS)])[0]  # fmt: skip
        user = ODD_USER if odd else rng.choice(list(_USERS))
        made = FIRST + timedelta(day, rng.randrange(8 * 3600, 18 * 3600), 1 + rng.randrange(999_999))
        model = rng.choices(list(RATES), (4, 8, 1, 3))[0]
        row: dict[str, Any] = {
            "id": f"c-{number}", "timestamp": made.isoformat(), "model": model, "user": user, "team": _USERS[user],
            "session": f"s-{number // 7}", "tags": {"env": rng.choice(["prod", "prod", "test"])},
            "status": "failure" if rng.random() < 0.02 else "success",
        }  # fmt: skip
        row["usage"] = _usage(rng, model, failed=row["status"] == "failure")
        if model == "gpt-4o":
            words = rng.choices(_WORDS, k=rng.randrange(5, 40))
            system = {"role": "system", "content": f"You help the team {row['team']}."}
            user_turn = {"role": "user", "content": " ".join(words)}
            row |= {"messages": [system, user_turn], "response": " ".join(words[:9])}
            if row["team"] == NEVER_CACHED:
                row["usage"]["prompt_tokens_details"]["cached_tokens"] = 0
        fate = rng.random()
        if fate < 0.005:  # nothing tells these two apart
            row["timestamp"] = made.replace(microsecond=0).isoformat()
            del row["id"]
        yield row
        if fate < 0.015:
            yield row


def _usage(rng: random.Random, model: str, *, failed: bool) -> dict[str, Any]:
    prompt = rng.randrange(LONG, 2 * LONG) if model.startswith("claude") and rng.random() < 0.02 else (
        int(rng.lognormvariate(7.5, 1)) + 1)  # fmt: skip
    completion = 0 if failed else int(rng.lognormvariate(5.5, 1)) + 1
    read = prompt // 2 if rng.random() < 0.4 else 0
    usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion,
                             "total_tokens": prompt + completion,
                             "prompt_tokens_details": {"cached_tokens": read}}  # fmt: skip
    if model.startswith("claude"):
        usage["cache_creation_input_tokens"] = (prompt - read) // 3 if rng.random() < 0.3 else 0
    if model == "o3":
        usage["completion_tokens_details"] = {"reasoning_tokens": completion * 3 // 4}
    return usage


def write_month(path: Path, calls: int) -> Path:
    """Write the rows as JSON lines and return their path."""
    return write_lines(path, month_rows(calls))
