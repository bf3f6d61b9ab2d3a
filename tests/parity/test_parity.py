"""Given the same map, our price is LiteLLM's wherever LiteLLM is right, and is right where it is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import zstandard

from tests.parity.notes import NOTES, UNTAGGED, Case
from tests.parity.replay import agrees, ask, report_cases

WHOLE = os.environ.get("CALLCOST_PARITY_CASES")  # all recorded cases (.jsonl.zst), where someone has them
RECORDED = Path(__file__).with_name("cases.jsonl")


def load() -> list[Case]:
    if not WHOLE:
        return [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    with zstandard.open(WHOLE, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


CASES = load()
PLAIN = [case for case in CASES if not case["suspect"]]
SUSPECT = [case for case in CASES if case["suspect"]]


def test_where_litellm_is_right_we_agree_or_raise_as_it_does() -> None:
    differing = [case for case in PLAIN if not agrees(case, ask(case))]

    for case in differing:
        assert any(NOTES[slug].holds(case, ask(case)) for slug in UNTAGGED), case["id"]
    known = ("zero", "documented")
    asked = [case for case in differing if not any(NOTES[slug].holds(case, ask(case)) for slug in known)]
    assert len(asked) * 150 < len(PLAIN) or not WHOLE  # two thirds of a per cent; the recorded subset holds them all


def test_where_litellm_is_wrong_a_note_says_what_we_answer() -> None:
    for case in SUSPECT:
        ours = ask(case)
        notes = [NOTES[slug] for slug in (*case["suspect"], *UNTAGGED)]
        assert agrees(case, ours) or any(note.holds(case, ours) for note in notes), (case["id"], case["suspect"], ours)


@pytest.mark.parametrize("slug", NOTES)
def test_every_note_gives_its_reason(slug: str) -> None:
    assert len(NOTES[slug].why) > 30


def test_the_cases_written_as_a_log_cost_what_the_helpers_answer(tmp_path: Path) -> None:
    """Cases that state an inconsistent flat prompt, or rates of their own, have no counterpart in a log."""
    answers = {case["id"]: ask(case) for case in CASES if case["form"] != "custom"}
    cases = [case for case in CASES if case["id"] in answers and answers[case["id"]].get("error") != "PriceError"]

    rows = report_cases(cases, tmp_path)

    assert len(rows) == len(cases)
    for case in cases:
        ours, row = answers[case["id"]], rows[str(case["id"])]
        if "error" in ours:
            assert row["price_status"] == "unpriced", case["id"]
        elif "total" in ours:
            assert float(row["total_cost"]) == ours["total"], case["id"]
        else:
            assert float(row["input_cost"] or 0) == ours["prompt"], case["id"]
            assert float(row["output_cost"] or 0) == ours["completion"], case["id"]
