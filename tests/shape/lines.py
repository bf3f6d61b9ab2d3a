"""Count the package's lines of code, room by room: ``python -m tests.shape.lines [folder]``.

Blank lines and comments do not count, docstrings are counted apart; every file is laid out by ``ruff format`` first,
so that nobody saves lines by writing wide ones.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import sysconfig
import tokenize
from collections import Counter
from io import StringIO
from pathlib import Path

from tests.command import ROOT

PACKAGE = ROOT / "pipeline" / "callcost"
_RUFF = Path(sysconfig.get_path("scripts")) / "ruff"
_LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def count_lines(text: str) -> tuple[int, int]:
    """Count the lines of a module that is laid out already.

    Returns:
        Lines of code, and lines of docstrings.
    """
    lines = text.splitlines()
    documents = {
        number
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and ast.get_docstring(node, clean=False) is not None
        for number in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    used = {
        number
        for token in tokenize.generate_tokens(StringIO(text).readline)
        if token.type not in _LAYOUT
        for number in range(token.start[0], token.end[0] + 1)
    }
    filled = {number for number in used | documents if lines[number - 1].strip()}
    return len(filled - documents), len(filled & documents)


def count_rooms(package: Path = PACKAGE) -> Counter[tuple[str, str]]:
    """Count lines of code and of docstrings of each top folder of a package."""
    found: Counter[tuple[str, str]] = Counter()
    for path in sorted(package.rglob("*.py")):
        laid_out = subprocess.run(
            [_RUFF, "format", "--quiet", "--config", "line-length=120", "-"],
            input=path.read_text(encoding="utf-8"),
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        room = path.relative_to(package).parts[0] if path.parent != package else "."
        code, documents = count_lines(laid_out)
        found[room, "code"] += code
        found[room, "docstrings"] += documents
    return found


def main() -> None:
    """Print the lines of each room, and of all."""
    found = count_rooms(Path(sys.argv[1]) if len(sys.argv) > 1 else PACKAGE)
    for room in sorted({room for room, _ in found}):
        sys.stdout.write(f"{room:<10} {found[room, 'code']:>7,} code {found[room, 'docstrings']:>7,} docstrings\n")
    code, documents = (sum(n for (_, of), n in found.items() if of == kind) for kind in ("code", "docstrings"))
    sys.stdout.write(f"{'all':<10} {code:>7,} code {documents:>7,} docstrings {code + documents:>7,} both\n")


if __name__ == "__main__":
    main()
