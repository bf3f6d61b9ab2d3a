"""Homes of coding agents: where they are on a machine, and which files below some folder are no logs but lie in one.

The rows are in coding_agents.py. A home is known by where it is (its path ends like one of the table, or it is the one
that the environment names), or by what is in it: two of its marks beside logs. A file is told by its path alone.
"""

from __future__ import annotations

import os
import re
import sys
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from glob import escape, glob
from pathlib import Path
from typing import NamedTuple

from callcost.logs.coding_agents import AGENTS, DEFAULTS, ROOTS, SYSTEMS, Agent

_USER = "~"
Agents = tuple[Agent, ...]


class Home(NamedTuple):
    """A folder of an agent that may be there or not.

    Attributes:
        agent: row of the table.
        path: where it is.
    """

    agent: Agent
    path: str


def homes_of(environment: Mapping[str, str], system: str, user: str) -> list[Home]:
    """Return the homes of all agents, in the order of the table, whether they are there or not.

    Args:
        environment: variables; an empty one is as if it were not there.
        system: one of SYSTEMS.
        user: the user's own folder.
    """
    found = []
    for agent in AGENTS:
        named = [name.strip() for name in environment.get(agent.variable, "").split(",") if name.strip()]
        paths = [_join(name, agent.below) for name in named] or _defaults(agent, system)
        found += [Home(agent, _resolve(path, environment, user)) for path in paths]
    return found


def homes_here() -> list[Home]:
    """Return the homes of all agents on this machine, by its environment."""
    system = {"darwin": "macos", "win32": "windows"}.get(sys.platform, "linux")
    homes = homes_of(os.environ, system, os.path.expanduser(_USER))  # noqa: PTH111 - "~" stays where nobody knows better
    return [Home(home.agent, Path(home.path).as_posix()) for home in homes]


def default_paths(agent: Agent, system: str) -> list[str]:
    """Return an agent's homes as people write them, with "~" and what variables are by default."""
    return [_resolve(path, {}, _USER) for path in _defaults(agent, system)]


def log_places(home: Home) -> list[str]:
    """Return the folders and files of a home that hold its logs; those that hold none are left out.

    What may not be looked into counts as a log: whoever reads it says so.
    """
    try:
        with os.scandir(home.path):
            pass
    except PermissionError:
        return [home.path]
    except OSError:
        return []
    wanted = (f"{escape(home.path)}/{_folder_of(pattern)}" for pattern in home.agent.logs)
    found = dict.fromkeys(path for place in wanted for path in sorted(glob(place)))  # noqa: PTH207 - Path.glob takes no absolute pattern
    return [path for path in found if not Path(path).is_dir() or _holds_logs(path, home)]


def _holds_logs(place: str, home: Home) -> bool:
    """Tell whether a folder of a home holds a log, or a folder that may not be looked into."""
    logs, visited = _logs_of((home.agent,)), set[str]()
    locked: list[OSError] = []
    for folder, folders, names in os.walk(place, onerror=locked.append, followlinks=True):
        start = f"{Path(folder).as_posix()[len(home.path) + 1 :]}/"
        if locked or any(logs.fullmatch(f"{start}{name}") for name in names):
            return True
        real = os.path.realpath(folder)
        folders[:] = [name for name in sorted(folders) if real not in visited and not name.startswith(".")]
        visited.add(real)
    return bool(locked)


def _folder_of(pattern: str) -> str:
    """Return the part of a pattern that names the folder of the logs; the pattern itself where they lie in the home."""
    parts = pattern.split("/")[:-1]
    while parts and parts[-1].startswith("*"):
        parts.pop()
    return "/".join(parts) or pattern


def _defaults(agent: Agent, system: str) -> list[str]:
    roots = ((ROOTS[root][system], below) for root, _, below in (home.partition("/") for home in agent.homes))
    return [_join(folder, below) for folders, below in roots for folder in folders]


def _resolve(path: str, environment: Mapping[str, str], user: str) -> str:
    first, _, rest = path.partition("/")
    if first in DEFAULTS:
        return _resolve(_join(environment.get(first[1:], "") or DEFAULTS[first], rest), environment, user)
    return _join(user, rest) if first == _USER else path


def _join(folder: str, below: str) -> str:
    return f"{folder}/{below}" if below else folder


# --- What lies beside logs --------------------------------------------------------------------------------------------


def files_beside_logs(roots: Iterable[str], names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Tell which files lie in the home of an agent and are no logs: settings, indexes, caches.

    Args:
        roots: paths or the URL of one folder: as it was given, and where it really is.
        names: paths of the files below it, sorted.

    Returns:
        Name -> (the home's path below the folder, "" where that lies in the home; what it is, for people).
    """
    places, homes = dict.fromkeys(f"{root.rstrip('/')}/" for root in roots), _by_path(homes_here())
    marked = dict(_marked_homes(names))
    known: dict[str, list[tuple[str, Agents]]] = {}  # folder -> (its path below a home of whom, and these)
    found = {}
    for name in names:
        above = name[: name.rfind("/") + 1]
        if above not in known:
            known[above] = [pair for place in places for pair in _homes_around(f"{place}{above}", homes)]
            known[above] += [(above[len(home) :], agents) for home, agents in marked.items() if above.startswith(home)]
        end = name[len(above) :]
        if known[above] and not any(_logs_of(agents).fullmatch(below + end) for below, agents in known[above]):
            below, agents = known[above][0]
            home = above[: len(above) - len(below)].rstrip("/")
            found[name] = (home, f"settings and caches of {agents[0].name}")
    return found


def _homes_around(folder: str, homes: Mapping[str, Agents]) -> Iterator[tuple[str, Agents]]:
    """Yield the path of a folder below each home that it lies in, and whose that is; both end with a slash."""
    yield from ((folder[len(path) :], agents) for path, agents in homes.items() if folder.startswith(path))
    for end, agents in _ends_of_homes():
        place = f"/{folder}".rfind(f"/{end}/")
        if place >= 0:
            yield folder[place + len(end) + 1 :], agents


def _by_path(homes: Iterable[Home]) -> dict[str, Agents]:
    found: dict[str, Agents] = {}
    for home in homes:
        path = f"{home.path.rstrip('/')}/"
        found[path] = (*found.get(path, ()), home.agent)
    return found


@cache
def _ends_of_homes() -> list[tuple[str, Agents]]:
    """Return how the paths of homes end, the longest first, and whose they are: one may lie in another."""
    defaults = (Home(agent, path) for agent in AGENTS for system in SYSTEMS for path in default_paths(agent, system))
    found = {path[len(_USER) + 1 : -1]: tuple(dict.fromkeys(agents)) for path, agents in _by_path(defaults).items()}
    return sorted(found.items(), key=lambda pair: len(pair[0]), reverse=True)


def _marked_homes(names: Sequence[str]) -> Iterator[tuple[str, Agents]]:
    """Yield folders, "" or with a slash at the end, that are homes by what is in them: two marks, and logs."""
    marks = {mark for agent in AGENTS for mark in agent.marks}
    folders = {folder + sign for folder, sign, name in (name.rpartition("/") for name in names) if name in marks}
    for folder in sorted(folders):
        if agents := tuple(agent for agent in AGENTS if _is_marked(agent, folder, names)):
            yield folder, agents


def _is_marked(agent: Agent, start: str, names: Sequence[str]) -> bool:
    marks = sum(_holds(names, start + mark) for mark in agent.marks)
    return marks >= 2 and any(_holds(names, start + pattern.partition("/")[0]) for pattern in agent.logs)


def _holds(names: Sequence[str], path: str) -> bool:
    """Tell whether there is a file of this path, or one below it."""
    places = (bisect_left(names, wanted) for wanted in (path, f"{path}/"))
    return any(place < len(names) and f"{names[place]}/".startswith(f"{path}/") for place in places)


@cache
def _logs_of(agents: Agents) -> re.Pattern[str]:
    """Return the pattern of the paths of logs below the home of some agents; they may be packed."""
    words = "|".join(_regex_of(pattern) for agent in agents for pattern in agent.logs)
    return re.compile(rf"(?:{words})(?:\.gz|\.zst)?", re.DOTALL)


def _regex_of(pattern: str) -> str:
    signs = {"**/": "(?:.*/)?", "*": "[^/]*"}
    return "".join(signs.get(part, re.escape(part)) for part in re.split(r"(\*\*/|\*)", pattern))
