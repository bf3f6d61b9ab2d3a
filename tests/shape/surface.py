"""What others lean on: names, signatures, options, columns and exit codes; python -m tests.shape.surface records it.

What was recorded stays. Where something of it is gone or another one, it is recorded anew only after CHANGELOG.md says
more of the newest version than when it was recorded last.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import sys
from pathlib import Path
from typing import Any

import click

import callcost
from callcost import errors
from callcost.cli.root import callcost as command
from callcost.stages.tables import schemas
from tests.command import ROOT

RECORDED = Path(__file__).with_name("surface.json")
PUBLISHED = ("Calls", "SpendMeasures", "Charges", "Comparison", "Alternatives", "WhatIf", "Rejects", "Reconciliation",
             "Causes", "Adjustments")  # fmt: skip
Surface = dict[str, dict[str, str]]


def surface() -> Surface:
    """Return kind -> name -> what it is."""
    tables = {name: getattr(schemas, name).types for name in PUBLISHED}
    return {
        "names": {name: _signature_of(getattr(callcost, name)) for name in callcost.__all__},
        "options": dict(_options_of(command, "callcost")),
        "columns": {f"{table}.{name}": str(kind) for table, types in tables.items() for name, kind in types.items()},
        "exit codes": {name: str(value) for name, value in sorted(vars(errors).items()) if name.startswith("EXIT_")},
    }


def lost(recorded: Surface, now: Surface) -> list[str]:
    """Return what is gone of a recorded surface, or another one now."""
    return [
        f"{kind}: {name} was {what!r}, is {now.get(kind, {}).get(name)!r}"
        for kind, names in recorded.items()
        for name, what in names.items()
        if now.get(kind, {}).get(name) != what
    ]


def changes_of_newest() -> tuple[str, str]:
    """Return the title of the newest version in CHANGELOG.md, and the digest of what it says of it."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    title, body = re.findall(r"^## (.+)\n((?:(?!## ).*\n)+)", text, re.MULTILINE)[0]
    return title, hashlib.sha256(body.encode()).hexdigest()


def _signature_of(value: Any) -> str:
    """Return the parameters by name, their kind and whether each may be left out: types are for mypy to hold."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return type(value).__name__
    kinds = inspect.Parameter
    marks = {int(kinds.VAR_POSITIONAL): "*", int(kinds.VAR_KEYWORD): "**", int(kinds.KEYWORD_ONLY): "keyword "}
    ends = {True: "", False: "="}
    return ", ".join(f"{marks.get(int(one.kind), '')}{one.name}{ends[one.default is one.empty]}" for one in parameters)


def _options_of(group: click.Command, name: str) -> list[tuple[str, str]]:
    found = []
    for option in group.params:
        words = " ".join([*option.opts, *option.secondary_opts])
        found.append((f"{name} {words}", f"{option.type.name}{' required' if option.required else ''}"))
    if isinstance(group, click.Group):
        context = click.Context(group)
        for below in group.list_commands(context):
            verb = group.get_command(context, below)
            assert verb is not None
            found += [(f"{name} {below}", "command"), *_options_of(verb, f"{name} {below}")]
    return found


def main() -> None:
    """Record the surface as it is."""
    now, (_, digest) = surface(), changes_of_newest()
    if RECORDED.exists():
        document = json.loads(RECORDED.read_bytes())
        gone = lost(document["surface"], now)
        if gone and document["changelog"] == digest:
            sys.exit("\n".join([*gone, "Say so in CHANGELOG.md under the newest version first"]))
    document = {"changelog": digest, "surface": now}
    RECORDED.write_text(json.dumps(document, indent=0, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
