"""Tool definitions as OpenAI writes them into the prompt: one TypeScript namespace.

The layout was read off recorded prompt counts. No indentation at any depth; ``required`` is a question mark,
``additionalProperties`` and ``strict`` leave no trace. Where the block stands and what framing it costs is
openai_layouts.py's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from callcost.tokens.requests.json_refs import MAX_REFERENCES, MAX_WRITTEN, MIN_WRITTEN, follow
from callcost.tokens.requests.json_values import compact_json, dict_of, list_of, text_of
from callcost.tokens.requests.types import Tool

HEAD = "# Tools\n\n## functions\n\nnamespace functions {\n\n"
TAIL = "\n\n} // namespace functions"
# What the comment behind a type names, in this order; the format of a number leaves no trace.
_OF_NUMBERS = ("minimum", "maximum")
_OF_TEXTS = ("minLength", "maxLength", "format", "pattern")
LIMITS = {"integer": _OF_NUMBERS, "number": _OF_NUMBERS, "string": _OF_TEXTS}


def write_tools(tools: Sequence[Tool], *, plain: bool = False) -> str:
    """Return the block that stands for the tools on offer.

    Args:
        tools: the tools on offer, in the order of the request.
        plain: write the layout of June 2023, which knows descriptions of the first level only.
    """
    return HEAD + "\n\n".join(write_tool(tool, plain=plain) for tool in tools) + TAIL


def write_tool(tool: Tool, *, plain: bool = False) -> str:
    """Return one function's type: its description as comment lines, then its parameters.

    Args:
        tool: the tool to write.
        plain: as for ``write_tools``.
    """
    schema = dict_of(tool.parameters)
    signature = f"type {tool.name} = ("
    if not dict_of(schema.get("properties")):
        signature += ") => any;"
    elif plain:
        signature += f"_: {{\n{_plain_object(schema, 0)}\n}}) => any;"
    else:
        writer = _Writer(schema)
        notes = writer.notes(schema)
        signature += "_: " + "".join(f"{line}\n" for line in notes) + f"{writer.object(schema)}) => any;"
    return "\n".join([*comment(tool.description), signature])


def comment(text: str) -> list[str]:
    """Return a text as comment lines, each stripped; an empty line is a bare ``//``."""
    text = text.strip()
    return [f"// {line.strip()}".rstrip() for line in text.split("\n")] if text else []


def _plain_object(schema: dict[str, Any], indent: int) -> str:
    required = list_of(schema.get("required"))
    lines: list[str] = []
    for name, given in dict_of(schema.get("properties")).items():
        inner = dict_of(given)
        if indent < 2:
            lines += comment(text_of(inner.get("description")))
        lines.append(f"{name}{'' if name in required else '?'}: {_plain_type(inner, indent)},")
    return "\n".join(" " * indent + line for line in lines)


def _plain_type(schema: dict[str, Any], indent: int) -> str:
    kind = text_of(schema.get("type"))
    if isinstance(schema.get("enum"), list):
        return _alternatives(schema["enum"])
    if kind == "array":
        items = schema.get("items")
        return f"{_plain_type(dict_of(items), indent)}[]" if items else "any[]"
    if kind == "object":
        return "{\n" + _plain_object(schema, indent + 2) + "\n}"
    return {"integer": "number", "": "any"}.get(kind, kind)


class _Writer:
    """Writes one function's parameters; holds the schema that references point into, counts what it wrote."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.written = 0

    def resolve(self, schema: Any) -> dict[str, Any]:
        """Return a schema with its reference replaced by what it refers to."""
        return follow(schema, self.root)

    def notes(self, schema: dict[str, Any]) -> list[str]:
        """Return the comment lines above a property: title, description."""
        lines = comment(text_of(schema.get("title"))) + comment(text_of(schema.get("description")))
        self.written += sum(map(len, lines)) + MIN_WRITTEN
        return lines

    def object(self, schema: dict[str, Any], depth: int = 0) -> str:
        """Return an object type, on one line where no property has a comment, a default or a longer type."""
        required = list_of(schema.get("required"))
        rows, plain = [], True
        for name, given in dict_of(schema.get("properties")).items():
            inner = self.resolve(given)
            lines = self.notes(inner)
            kind = self.type(inner, depth + 1)
            behind = _behind(inner, ("default",))
            plain = plain and not lines and not behind and "\n" not in kind
            rows.append((lines, f"{name}{'' if name in required else '?'}: {kind}", behind))
        if not rows:
            return "object"
        if plain:
            return "{ " + ", ".join(text for _, text, _ in rows) + " }"
        return "\n".join(["{", *("\n".join([*lines, f"{text},{behind}"]) for lines, text, behind in rows), "}"])

    def type(self, schema: dict[str, Any], depth: int = 0) -> str:
        """Return the type of one value."""
        kind = schema.get("type")
        branches = schema.get("anyOf") or schema.get("oneOf")
        if depth > 4 * MAX_REFERENCES or self.written > MAX_WRITTEN:
            found = "any"
        elif isinstance(schema.get("enum"), list):
            found = _alternatives(schema["enum"])
        elif "const" in schema:
            found = compact_json(schema["const"])
        elif isinstance(branches, list):
            inner = [self.resolve(branch) for branch in branches]
            found = _union([(self.notes(branch), self.type(branch, depth + 1), _behind(branch)) for branch in inner])
        elif isinstance(kind, list):
            found = self.types(schema, kind, depth)
        elif kind == "array":
            found = self.array(schema, depth)
        elif kind == "object":
            found = self.object(schema, depth)
        else:
            found = {"integer": "number"}.get(text_of(kind), text_of(kind) or "any")
        self.written += len(found) if "enum" in schema else MIN_WRITTEN
        return found

    def types(self, schema: dict[str, Any], kinds: list[Any], depth: int) -> str:
        """Return a union of plain types; each repeats the description on lines of its own, and has its own limits."""
        lines = self.notes({"description": schema.get("description")})
        inner = [{**schema, "type": kind, "enum": None, "anyOf": None} for kind in kinds]
        return _union([(lines, self.type(branch, depth + 1), _behind(branch)) for branch in inner])

    def array(self, schema: dict[str, Any], depth: int) -> str:
        """Return an array type; items with comments or over several lines stand between angle brackets."""
        items = self.resolve(schema.get("items"))
        kind = self.type(items, depth + 1)
        lines, behind = self.notes(items), _behind(items)
        if lines or behind or "\n" in kind:
            return "\n".join(["Array<", *lines, kind + behind, ">"])
        return f"Array<{kind}>" if " | " in kind else f"{kind}[]"


def _union(branches: list[tuple[list[str], str, str]]) -> str:
    """Return alternatives, each given by the lines above it, its type and the comment behind that.

    Once one of them takes several lines or has a comment, each stands on lines of its own.
    """
    texts = ["\n".join([*lines, kind + behind]) for lines, kind, behind in branches]
    longer = ["\n" in text or bool(behind) for text, (_, _, behind) in zip(texts, branches, strict=True)]
    if not any(longer):
        return " | ".join(texts)
    return "\n" + " |\n".join(text + "\n" * long for text, long in zip(texts, longer, strict=True)) + "\n"


def _behind(schema: dict[str, Any], more: tuple[str, ...] = ()) -> str:
    """Return the comment behind a type: its limits, and what else is asked for; "" where there is none."""
    limits = [key for key in LIMITS.get(text_of(schema.get("type")), ()) if schema.get(key) is not None]
    named = [f"{key}: {compact_json(schema[key])}" for key in (*more, *limits) if key in schema]
    return f" // {', '.join(named)}" if named else ""


def _alternatives(values: list[Any]) -> str:
    return " | ".join(map(compact_json, values))

