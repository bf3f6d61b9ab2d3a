"""Homes of coding agents: where they are on each system, and what in them is no log, wherever they lie."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.logs.agent_homes import default_paths, files_beside_logs, homes_of
from callcost.logs.coding_agents import AGENT_DIALECTS, AGENTS, DEFAULTS, NO_HOME, ROOTS, SYSTEMS, Agent
from callcost.logs.dialects import field_readers
from tests.command import ROOT
from tests.shape.pages import PROSE

PAGE = ROOT / "docs" / "agents.md"


def _paths(environment: dict[str, str], system: str, name: str, user: str = "/u") -> list[str]:
    return [home.path for home in homes_of(environment, system, user) if home.agent.name == name]


@pytest.mark.parametrize(
    ("name", "environment", "system", "paths"),
    [
        ("Claude Code", {}, "linux", ["/u/.claude", "/u/.config/claude"]),
        ("Claude Code", {"XDG_CONFIG_HOME": "/x"}, "macos", ["/u/.claude", "/x/claude"]),
        ("Claude Code", {"CLAUDE_CONFIG_DIR": "/a, ~/b,", "XDG_CONFIG_HOME": "/x"}, "linux", ["/a", "/u/b"]),
        ("Claude Code", {"CLAUDE_CONFIG_DIR": ""}, "windows", ["/u/.claude", "/u/.config/claude"]),
        ("Gemini CLI", {"GEMINI_CLI_HOME": "/g"}, "linux", ["/g/.gemini"]),
        ("OpenCode", {"XDG_DATA_HOME": "/d"}, "macos", ["/d/opencode"]),
        ("Goose", {}, "windows", ["/u/AppData/Roaming/Block/goose/data", "/u/AppData/Roaming/Block/goose"]),
        ("Goose", {"GOOSE_PATH_ROOT": "/g"}, "linux", ["/g/data"]),
        ("Zed", {"LOCALAPPDATA": "/l"}, "windows", ["/l/Zed"]),
        ("Zed", {}, "macos", ["/u/Library/Application Support/Zed"]),
        ("Cursor", {"APPDATA": "/r"}, "windows", ["/r/Cursor/User/globalStorage"]),
        ("Codex", {"CODEX_HOME": "/c"}, "macos", ["/c"]),
    ],
)
def test_homes_are_where_the_system_and_the_environment_say(
    name: str, environment: dict[str, str], system: str, paths: list[str]
) -> None:
    assert _paths(environment, system, name) == paths


def test_every_row_is_of_dialects_that_are_there() -> None:
    known = {reader.dialect.name for reader in field_readers()}
    assert known >= AGENT_DIALECTS
    assert not {dialect for agent in AGENTS for dialect in agent.dialects} & NO_HOME.keys()
    assert len({agent.name for agent in AGENTS}) == len(AGENTS)


def test_the_page_shows_the_table() -> None:
    shown = re.findall(r"^\| .*$", PROSE[PAGE], flags=re.MULTILINE)
    assert [row for row in [*agent_rows(), *root_rows()] if row not in shown] == []
    for dialect, place in NO_HOME.items():
        assert f"`{dialect}` ({place})" in " ".join(PROSE[PAGE].split())


def agent_rows() -> list[str]:
    """The rows of the table of agents as the page has them."""
    return [
        f"| {agent.name} | {_code(map(_written, agent.homes))} | {_code(agent.logs)} | {_variable(agent)} |"
        for agent in AGENTS
    ]


def root_rows() -> list[str]:
    """The rows of the table of what homes begin with on each system."""
    roots = {root: folders for root, folders in ROOTS.items() if root not in SHORT}
    return [
        f"| `{root.upper()}` | {' | '.join(_code(map(_plain, folders[system])) for system in SYSTEMS)} |"
        for root, folders in roots.items()
    ]


SHORT = {"~": "~", "config": "~/.config", "data": "~/.local/share"}  # roots that are the same everywhere


def _written(home: str) -> str:
    root, sign, below = home.partition("/")
    return f"{SHORT.get(root, root.upper())}{sign}{below}"


def _variable(agent: Agent) -> str:
    return f"`{agent.variable}`{f' (`{agent.below}` in it)' if agent.below else ''}" if agent.variable else ""


def _plain(folder: str) -> str:
    first, sign, below = folder.partition("/")
    return f"{DEFAULTS.get(first, first)}{sign}{below}"


def _code(texts: Iterable[str]) -> str:
    return ", ".join(f"`{text}`" for text in texts)


CLAUDE = sorted([
    "history.jsonl", "settings.json", "todos/a.json", "statsig/x", "projects/-p/s.jsonl", "projects/-p/s.jsonl.gz",
    "projects/-p/sessions-index.json", "projects/-p/s/subagents/agent-1.jsonl",
])  # fmt: skip
CLAUDE_LOGS = {"projects/-p/s.jsonl", "projects/-p/s.jsonl.gz", "projects/-p/s/subagents/agent-1.jsonl"}
OF_CLAUDE = "settings and caches of Claude Code"


@pytest.mark.parametrize("root", ["/u/.claude", "/u/.config/claude", "s3://bucket/ida/.claude", "copies/lap"])
def test_a_home_is_known_by_where_it_is_or_by_its_marks(root: str) -> None:
    found = files_beside_logs([root], CLAUDE)
    assert found == dict.fromkeys(set(CLAUDE) - CLAUDE_LOGS, ("", OF_CLAUDE))
    below = files_beside_logs(["/data"], sorted([*(f"ida/lap/{name}" for name in CLAUDE), "other.json"]))
    assert below == {f"ida/lap/{name}": ("ida/lap", OF_CLAUDE) for name in set(CLAUDE) - CLAUDE_LOGS}


def test_a_folder_inside_a_home_is_one() -> None:
    names = ["-p/s.jsonl", "-p/sessions-index.json"]
    assert files_beside_logs(["/u/.claude/projects"], names) == {"-p/sessions-index.json": ("", OF_CLAUDE)}
    tasks = ["1/api_conversation_history.json", "1/ui_messages.json"]
    root = "/u/.config/Code/User/globalStorage/saoudrizwan.claude-dev/tasks"
    assert files_beside_logs([root], tasks) == {tasks[0]: ("", "settings and caches of Cline")}


def test_what_the_environment_names_is_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["p/s.jsonl", "p/sessions-index.json"]
    assert files_beside_logs(["/data/cc/projects"], names) == {}
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", "/data/aa,/data/cc")
    assert files_beside_logs(["/data/cc/projects"], names) == {names[1]: ("", OF_CLAUDE)}
    assert files_beside_logs(["/data/ccc/projects"], names) == {}


@pytest.mark.parametrize(
    "names",
    [["settings.json"], ["a.jsonl", "projects/x.jsonl", "settings.json"], ["a.json", "settings.json", "todos/x"]],
    ids=["a name alone", "one mark", "no logs"],
)
def test_a_folder_of_ones_own_is_no_home(names: list[str]) -> None:
    assert files_beside_logs(["/data/logs", "/mnt/data/logs"], names) == {}


WORDS = st.text("abc-_1", min_size=1, max_size=4)


@given(agent=st.sampled_from(AGENTS), system=st.sampled_from(SYSTEMS), data=st.data())
def test_each_log_of_the_table_is_a_log_where_its_home_is(agent: Agent, system: str, data: st.DataObject) -> None:
    pattern, home = data.draw(st.sampled_from(agent.logs)), data.draw(st.sampled_from(default_paths(agent, system)))
    folders = data.draw(st.lists(WORDS, max_size=2))
    path = pattern.replace("**/", "".join(f"{word}/" for word in folders))
    path = re.sub(r"\*", lambda _: data.draw(WORDS), path)
    assert files_beside_logs([home.replace("~", "/home/ida")], [path]) == {}
    other = f"{path}.lock"
    assert [*files_beside_logs([home.replace("~", "/home/ida")], [other])] == [other] or pattern.endswith("*")
