"""Codex sessions, forked at any moment: what all files say together is what was called, however copies are written."""

from __future__ import annotations

import dataclasses
import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from callcost.jobs.report import report_spend
from callcost.logs.record_reader import RecordReader
from callcost.settings import ReadOptions, ReportOptions
from callcost.stages.dedup.resolve import settle_duplicates
from callcost.stages.tables.facts import facts_of
from callcost.tables import Call
from tests.conftest import examples

Event = dict[str, Any]
_START = 1_780_000_000_000  # milliseconds
SIGNS = ("none", "started_at", "turn_id", "ordinal")  # what a turn says of when it began
COUNTS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens", "total_tokens")


def _stamp(moment: int) -> str:
    return f"{_day(moment)}.{moment % 1000:03}Z"


def _day(moment: int) -> str:
    return str(pl.from_epoch(pl.Series([moment // 1000]), "s").dt.strftime("%Y-%m-%dT%H:%M:%S")[0])


def _uuid(moment: int, number: int) -> str:
    digits = f"{moment:012x}"
    return f"{digits[:8]}-{digits[8:]}-7000-8000-{number:012x}"


@dataclasses.dataclass
class Session:
    """A session while it goes on: its events, its sums, and what it called itself."""

    name: str
    events: list[Event]
    sums: dict[str, int]
    called: list[int] = dataclasses.field(default_factory=list)


class World:
    """Sessions that call, and fork each other."""

    def __init__(self, signs: str, *, restamped: bool) -> None:
        self.now, self.signs, self.restamped = _START, signs, restamped
        self.sessions: list[Session] = []

    @property
    def tells(self) -> bool:
        """Whether a file by itself tells which of its calls are copies."""
        return self.signs != "none" or not self.restamped

    def wait(self, seconds: int) -> None:
        self.now += 1000 * seconds

    def open_session(self, parent: Session | None, *, agent: bool, copies: bool) -> None:
        self.wait(1)
        name = _uuid(self.now, len(self.sessions))
        said: dict[str, Any] = {"id": name, "timestamp": _stamp(self.now), "source": "cli"}
        history: list[Event] = []
        if parent is not None:
            spawn = {"subagent": {"thread_spawn": {"parent_thread_id": parent.name}}}
            said |= {"source": spawn} if agent else {"forked_from_id": parent.name}
            history = [dict(event) for event in (parent.events if copies else parent.events[:1])]
        if self.signs == "ordinal":
            said["subagent_history_start_ordinal"] = len(history) + 1
        made = Session(name, [], dict.fromkeys(COUNTS, 0))
        self.sessions.append(made)
        self._write(made, "session_meta", said)
        for event in history:
            self.now += 300 if self.restamped else 0
            made.events.append(event | ({"timestamp": _stamp(self.now)} if self.restamped else {}))
        if parent is not None and copies:
            made.sums = dict(parent.sums)

    def take_turn(self, session: Session, calls: list[int]) -> None:
        self.wait(600)
        turn = {"turn_id": _uuid(self.now, 0)} if self.signs == "turn_id" else {}
        if self.signs == "started_at":
            self._write(session, "event_msg", {"type": "task_started", "started_at": self.now // 1000})
        self._write(session, "turn_context", {"model": "gpt-5.5"} | turn)
        for prompt in calls:
            self.wait(2)
            last = dict(zip(COUNTS, (prompt, 0, 2, 0, prompt + 2), strict=True))
            session.sums = {name: session.sums[name] + last[name] for name in COUNTS}
            session.called.append(prompt)
            info = {"total_token_usage": session.sums, "last_token_usage": last}
            self._write(session, "event_msg", {"type": "token_count", "info": info})

    def _write(self, session: Session, kind: str, payload: dict[str, Any]) -> None:
        event = {"timestamp": _stamp(self.now), "type": kind, "payload": payload}
        ordinal = {"ordinal": len(session.events)} if self.signs == "ordinal" else {}
        session.events.append(event | ordinal)

    def rollout(self, session: Session) -> list[Event]:
        if self.signs != "ordinal":
            return session.events
        return [event | {"ordinal": number} for number, event in enumerate(session.events)]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw sessions, their turns and forks; counts may be equal, but where nothing else tells calls apart."""
    world = World(draw(st.sampled_from(SIGNS)), restamped=draw(st.booleans()))
    world.open_session(None, agent=False, copies=False)
    for step in range(draw(st.integers(2, 9))):
        session = draw(st.sampled_from(world.sessions))
        if step and draw(st.booleans()):
            agent = draw(st.booleans())
            copies = not agent or draw(st.booleans())
            # nothing but its counts tells a turn of a sub-agent from its parent's where it copies none
            world.open_session(session, agent=agent, copies=copies or not world.tells)
        else:
            counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
            done = 0 if world.tells else 10 * sum(len(one.called) for one in world.sessions)
            world.take_turn(session, [count + (done and done + 10 * place) for place, count in enumerate(counts)])
    return world


def _settled(files: list[list[Event]]) -> pl.DataFrame:
    facts = []
    for number, events in enumerate(files):
        reader = RecordReader(ReadOptions())
        calls = []
        for row, event in enumerate(events, 1):
            for outcome in reader.read_value(event, row):
                assert isinstance(outcome, Call) or outcome in {"context", "fragment"}, outcome
                calls += [outcome] if isinstance(outcome, Call) else []
        for call in calls:
            call.record = call.source_row << 20
        facts.append(facts_of(calls, number, number))
    return settle_duplicates(pl.concat(facts)).facts


@examples(20)
@given(worlds(), st.data())
def test_forks_in_any_order_and_joined_anyhow_call_what_was_called(world: World, data: st.DataObject) -> None:
    files: list[list[Event]] = []
    ends = False  # whether a session has calls of its own, after which no other's beginning is taken for a copy
    for session in data.draw(st.permutations(world.sessions)):
        rollout = world.rollout(session)
        if ends and world.tells and data.draw(st.booleans()):
            files[-1] = files[-1] + rollout
        else:
            files.append(rollout)
        ends = bool(session.called)
    kept = _settled(files)
    found = {name: sorted(calls) for name, calls in kept.group_by("session").agg("prompt_tokens").iter_rows()}
    assert found == {session.name: sorted(session.called) for session in world.sessions if session.called}


@examples(20)
@given(worlds(), st.data())
def test_copies_of_calls_whose_file_is_gone_are_no_calls_of_the_fork(world: World, data: st.DataObject) -> None:
    assume(world.tells)
    there = data.draw(st.lists(st.sampled_from(world.sessions), min_size=1, unique_by=id))
    kept = _settled([world.rollout(session) for session in there])
    assert sorted(kept["prompt_tokens"]) == sorted(prompt for session in there for prompt in session.called)


@pytest.mark.parametrize("restamped", [False, True])
def test_a_lone_fork_without_any_sign_begins_after_its_longest_pause(restamped: bool) -> None:
    world = World("none", restamped=restamped)
    world.open_session(None, agent=False, copies=False)
    world.take_turn(world.sessions[0], [3, 4])
    world.take_turn(world.sessions[0], [5])
    world.open_session(world.sessions[0], agent=False, copies=True)
    world.take_turn(world.sessions[1], [6])
    world.take_turn(world.sessions[1], [7, 8])
    assert sorted(_settled([world.sessions[1].events])["prompt_tokens"]) == [6, 7, 8]


def test_sub_agents_that_copy_nothing_may_count_as_their_parent_did() -> None:
    world = World("none", restamped=True)
    world.open_session(None, agent=False, copies=False)
    world.take_turn(world.sessions[0], [5])
    for number in (1, 2):
        world.open_session(world.sessions[0], agent=True, copies=False)
        del world.sessions[number].events[1:]  # nor its parent's beginning
        world.take_turn(world.sessions[number], [5])
    assert _settled([session.events for session in world.sessions]).height == 3


def test_copies_of_events_beside_records_are_no_calls() -> None:
    """A parent whose calls go by response ids has events, too, which a fork copies without the records."""
    world = World("none", restamped=True)
    world.open_session(None, agent=False, copies=False)
    world.take_turn(world.sessions[0], [5, 6])
    world.open_session(world.sessions[0], agent=False, copies=True)
    parent: list[Event] = []
    for event in world.sessions[0].events:
        if event["payload"].get("type") == "token_count":
            usage = event["payload"]["info"]["last_token_usage"]
            record = {"response_id": f"resp_{len(parent)}", "usage": usage, "thread_token_usage": usage}
            parent.append(event | {"type": "token_usage_record", "payload": record})
        parent.append(event)
    assert sorted(_settled([world.sessions[1].events, parent])["prompt_tokens"]) == [5, 6]


def test_a_report_over_packed_rollouts_settles_them_too(tmp_path: Path) -> None:
    world = World("none", restamped=True)
    world.open_session(None, agent=False, copies=False)
    world.take_turn(world.sessions[0], [5, 6])
    world.open_session(world.sessions[0], agent=False, copies=True)
    world.take_turn(world.sessions[1], [7])
    for number, session in enumerate(world.sessions):
        text = "".join(json.dumps(event) + "\n" for event in session.events)
        (tmp_path / f"{1 - number}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    report_spend(ReportOptions(logs=(str(tmp_path),), out=str(tmp_path / "out"), by=("session",)))
    spend = pl.read_parquet(tmp_path / "out" / "spend.parquet").sort("prompt_tokens")
    assert spend["prompt_tokens"].to_list() == [7, 11]
