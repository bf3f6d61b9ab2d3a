"""The pages that people read: the README, what it links to, and the code blocks in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.command import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROSE = {path: path.read_text(encoding="utf-8") for path in PAGES}


class Block(NamedTuple):
    """A code block of a page.

    Attributes:
        page: path of the page.
        kind: the word after the three backticks.
        text: without the two lines of backticks.
    """

    page: Path
    kind: str
    text: str


BLOCKS = [
    Block(page, kind, text)
    for page, prose in PROSE.items()
    for kind, text in re.findall(r"^```(\w*)\n(.*?)\n```$", prose, flags=re.MULTILINE | re.DOTALL)
]


def blocks(kind: str, *, page: str | None = None, having: str = "") -> list[str]:
    """Return the code blocks of a kind, of all pages or of one, that hold a text."""
    return [
        block.text
        for block in BLOCKS
        if block.kind == kind and page in {None, block.page.name} and having in block.text
    ]


def command_lines() -> list[str]:
    """Return every `callcost ...` that a page shows, in a block or in a sentence, as one line each; no usage line."""
    examples = [block.text.replace("\\\n", " ") for block in BLOCKS if "[OPTIONS]" not in block.text]
    shown = [line for text in examples for line in text.splitlines()]
    shown += [" ".join(word.split()) for prose in PROSE.values() for word in re.findall(r"`(callcost [^`]+)`", prose)]
    found = (re.search(r"(?:^|[^m] |[=/])callcost ([a-z].*)$", line) for line in shown)  # not "from callcost import"
    return sorted({_without_open_quote(match[1].strip()) for match in found if match})


def _without_open_quote(line: str) -> str:
    """Return a line without the quote at its end that began before it, as in a crontab or JSON."""
    return line.removesuffix('"').rstrip() if line.count('"') % 2 else line
