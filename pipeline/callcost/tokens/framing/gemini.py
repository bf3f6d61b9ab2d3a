"""Gemini's layout of a prompt: tools as Python stubs or declarations, calls and results to match.

Read off recorded counts with the Gemma vocabularies: Gemini 2.5 is shown tools as Python functions that it calls
through ``default_api``, Gemini 3 as declarations whose strings stand between escape tokens (the layout that Google
published with FunctionGemma), and before them, as on Vertex, only names, types and texts are billed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from callcost.tokens.frame import Sheet
from callcost.tokens.requests.json_refs import resolve
from callcost.tokens.requests.types import (
    CALL,
    IMAGE,
    RESULT,
    TEXT,
    THOUGHT,
    Answer,
    Block,
    Message,
    Prompt,
    Tool,
    dict_of,
    list_of,
    spaced,
    text_of,
)

ESCAPE = "\0"  # stands for Gemini 3's escape token until a text is cut there; no JSON text holds it
PYTHON_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
INDENT = "    "
IMAGE_OUT = 1290  # tokens of an image in an answer, whatever its size


class Manner(NamedTuple):
    """One row: how one generation is shown what is not text.

    Attributes:
        message: tokens for each message.
        system: tokens for a system text that names its role.
        tool: writes a tool.
        call: writes a call.
        result: writes a result.
        marks: tokens around each tool, call and result.
        form: the form of the answer is billed by its leaves.
        sealed: thousandths of a token per character of a thought's signature.
        sealed_less: tokens fewer for each signature.
    """

    message: int
    system: int
    tool: Callable[[Tool], Iterable[str]]
    call: Callable[[Block], Iterable[str]]
    result: Callable[[Block], Iterable[str]]
    marks: int = 0
    form: bool = False
    sealed: int = 0
    sealed_less: int = 0


def lay_out_gemini(prompt: Prompt, manner: Manner, sheet: Sheet) -> None:
    """Add a conversation to a sheet.

    Args:
        prompt: the conversation.
        manner: the row of its generation.
        sheet: gathers the texts and constants.
    """
    for tool in prompt.tools:
        if tool.name:  # Google's own tools leave no trace in the prompt
            _add(manner.tool(tool), manner.marks, sheet)
    if manner.form and prompt.form:
        _add(leaves_of_schema(resolve(prompt.form.schema), titles=True), 0, sheet)
    for message in prompt.messages:
        _lay_out_message(message, manner, sheet)


def _lay_out_message(message: Message, manner: Manner, sheet: Sheet) -> None:
    if message.role == "system":
        sheet.tokens(manner.system if message.name else 0)
    else:
        sheet.tokens(manner.message)
    for block in message.blocks:
        if block.kind in {TEXT, THOUGHT}:
            sheet.text(block.text)
        elif block.kind == CALL:
            _add(manner.call(block), manner.marks, sheet)
        elif block.kind == RESULT:
            _add(manner.result(block), manner.marks, sheet)
        if block.sealed:
            sheet.milli(max(0, block.sealed * manner.sealed - manner.sealed_less * 1000))


def lay_out_gemini_answer(answer: Answer, manner: Manner, sheet: Sheet) -> None:
    """Add an answer to a sheet: its texts, its calls as its generation writes them, its images.

    Args:
        answer: the answer, all its alternatives; thoughts are billed apart.
        manner: the row of its generation.
        sheet: gathers the texts and constants.
    """
    for block in (block for blocks in answer.alternatives for block in blocks):
        if block.kind == TEXT:
            sheet.text(block.text)
        elif block.kind == CALL:
            _add(manner.call(block), manner.marks, sheet)
        elif block.kind == IMAGE:
            sheet.tokens(IMAGE_OUT)


def _add(texts: Iterable[str], marks: int, sheet: Sheet) -> None:
    """Add texts; one that holds escape tokens is cut there, and each escape is a token."""
    sheet.tokens(marks)
    for text in texts:
        pieces = text.split(ESCAPE)
        sheet.tokens(len(pieces) - 1)
        for piece in pieces:
            sheet.text(piece)


def write_stub(tool: Tool) -> list[str]:
    """Return a tool as a Python function, after a dataclass for each object among its parameters."""
    schema = resolve(tool.parameters)
    classes: list[str] = []
    fields = _fields(schema, _camel(tool.name), classes)
    head = "".join(f"{INDENT}{name}: {kind}{default},\n" for name, kind, default, _ in fields)
    doc = _docstring(tool.description, "Args", fields)
    return [*classes, f"def {tool.name}(\n{head}) -> dict:\n{doc}"]


Field = tuple[str, str, str, str]  # name, Python type, default, description


def _fields(schema: Any, owner: str, classes: list[str]) -> list[Field]:
    required = list_of(dict_of(schema).get("required"))
    found = []
    for name, given in dict_of(dict_of(schema).get("properties")).items():
        inner = dict_of(given)
        default = f" | None = {_literal(inner['default'])}" if "default" in inner else " | None = None"
        kind = _python_type(inner, owner + _camel(name), classes)
        found.append((name, kind, "" if name in required else default, text_of(inner.get("description"))))
    return found


def _python_type(schema: dict[str, Any], name: str, classes: list[str]) -> str:
    kind = text_of(schema.get("type")).lower()
    branches = schema.get("anyOf")
    if isinstance(schema.get("enum"), list):
        found = f"Literal[{', '.join(map(_literal, schema['enum']))}]"
    elif isinstance(branches, list):
        found = " | ".join(_python_type(dict_of(branch), name, classes) for branch in branches)
    elif kind == "array":
        found = f"list[{_python_type(dict_of(schema.get('items')), name, classes)}]"
    elif schema.get("properties"):
        classes.append(_write_class(schema, name, classes))
        found = name
    else:
        found = PYTHON_TYPES.get(kind, "dict[str, Any]" if kind == "object" else "Any")
    return found


def _write_class(schema: dict[str, Any], name: str, classes: list[str]) -> str:
    fields = _fields(schema, name, classes)
    doc = _docstring(text_of(schema.get("description")), "Attributes", fields)
    rows = "".join(f"{INDENT}{field}: {kind}{default}\n" for field, kind, default, _ in fields)
    return f"@dataclasses.dataclass(kw_only=True)\nclass {name}:\n{doc}{rows}"


def _literal(value: Any) -> str:
    """Return a JSON value as Python writes it."""
    try:
        return repr(value)
    except ValueError:  # an integer of more digits than Python writes
        return ""


def _docstring(text: str, heading: str, fields: list[Field]) -> str:
    first, *rest = text.split("\n")
    lines = [f'{INDENT}"""{first}', *(INDENT + line if line.strip() else line for line in rest)]
    lines += ["", f"{INDENT}{heading}:"]
    lines += [f"{INDENT * 2}{name}: {description}" for name, _, _, description in fields]
    return "\n".join([*lines, f'{INDENT}"""', ""])


def _camel(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def write_stub_call(block: Block) -> list[str]:
    """Return a call as the Python expression that makes it."""
    given = dict_of(block.value)
    arguments = ", ".join(f"{key} = {spaced(value)}" for key, value in given.items())
    return [f"print(default_api.{block.name}({arguments}))"]


def write_stub_result(block: Block) -> list[str]:
    """Return what a call gave, under the name that Gemini 2.5 knows it by."""
    return [spaced({f"{block.name}_response": block.value})]


def write_declaration(tool: Tool) -> list[str]:
    """Return a tool as Gemini 3 is shown it; empty descriptions and lists leave no trace."""
    schema = resolve(tool.parameters)
    whole = {"description": tool.description, "parameters": schema or None}
    return [f"declaration:{tool.name}{_escaped(_pruned(whole))}"]


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _pruned(child) for key, child in value.items() if key not in UNSAID}
        return {key: child for key, child in kept.items() if child not in ("", {}, [], None)}
    return [_pruned(child) for child in value] if isinstance(value, list) else value


UNSAID = frozenset({"additionalProperties", "$defs", "$schema", "definitions"})


def _escaped(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_escaped(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_escaped(child) for child in value) + "]"
    return f"{ESCAPE}{value}{ESCAPE}" if isinstance(value, str) else spaced(value)


def write_declared_call(block: Block) -> list[str]:
    """Return a call as Gemini 3 writes it."""
    return [f"call:{block.name}{_escaped(dict_of(block.value))}"]


def write_declared_result(block: Block) -> list[str]:
    """Return a result as Gemini 3 is shown it."""
    return [f"response:{block.name}{_escaped(dict_of(block.value))}"]


def write_leaves(tool: Tool) -> list[str]:
    """Return the texts of a tool that Gemini 2.0 and Vertex bill: names, texts and types, without any sign."""
    schema = None if tool.kind == "json_schema" else resolve(tool.parameters)
    return [tool.name, tool.description, *leaves_of_schema(schema)]


def leaves_of_schema(schema: Any, *, titles: bool = False) -> list[str]:
    """Return what is billed of a schema: types, names, descriptions, required names, values of enums, defaults.

    Args:
        schema: the schema, references written out.
        titles: titles are billed too, as they are in the form of an answer.
    """
    found: list[str] = []
    pending = [schema]
    while pending:
        node = pending.pop()
        if not isinstance(node, dict):
            continue
        found += [text_of(node.get("type")), text_of(node.get("description")), text_of(node.get("format"))]
        found.append(text_of(node.get("title")) if titles else "")
        found += [text_of(name) for name in list_of(node.get("required")) + list_of(node.get("enum"))]
        found.append(_leaf(node["default"]) if node.get("default") is not None else "")
        properties = dict_of(node.get("properties"))
        found += list(properties)
        pending += [*properties.values(), node.get("items"), *list_of(node.get("anyOf"))]
    return [text for text in found if text]


def leaves_of_value(value: Any) -> list[str]:
    """Return the keys and leaves of a JSON value as texts."""
    found: list[str] = []
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            found += list(node)
            pending += node.values()
        elif isinstance(node, list):
            pending += node
        elif node is not None:
            found.append(_leaf(node))
    return found


def _leaf(value: Any) -> str:
    """Return a leaf as the text it is billed by; a number is one token, however long."""
    if isinstance(value, str):
        return value
    return spaced(value) if isinstance(value, (bool, list, dict)) else "0"


def write_leaves_call(block: Block) -> list[str]:
    """Return the texts of a call or a result that Gemini 2.0 and Vertex bill."""
    return [block.name, *leaves_of_value(block.value)]


LEAVES = Manner(0, 0, write_leaves, write_leaves_call, write_leaves_call, form=True)
STUBS = Manner(1, 1, write_stub, write_stub_call, write_stub_result)
DECLARED = Manner(
    1, 1, write_declaration, write_declared_call, write_declared_result, marks=2, sealed=190, sealed_less=25
)
MANNERS = {"gemini-2": LEAVES, "gemini-2.5": STUBS, "gemini-3": DECLARED}


def manner_of(framing: str, provider: str) -> Manner:
    """Return the row of a generation; Vertex bills every generation by its leaves.

    Args:
        framing: the family's framing.
        provider: who was asked, in lower case.
    """
    manner = MANNERS.get(framing, LEAVES)
    return LEAVES._replace(form=manner.form) if "vertex" in provider else manner
