"""Gemini's layout of a prompt: tools as Python stubs or declarations, calls and results to match.

Read off recorded counts with the Gemma vocabularies: Gemini 2.5 is shown tools as Python functions that it calls
through ``default_api``, Gemini 3 as declarations whose strings stand between escape tokens (the layout that Google
published with FunctionGemma), and before them, as on Vertex, only names, types and texts are billed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from callcost.tokens.frame import SPECIAL, FrameBuilder
from callcost.tokens.requests.json_refs import resolve
from callcost.tokens.requests.json_values import dict_of, list_of, spaced_json, text_of
from callcost.tokens.requests.types import CALL, IMAGE, RESULT, TEXT, THOUGHT, Answer, Block, Message, Prompt, Tool

PYTHON_TYPES = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
INDENT = "    "
IMAGE_OUT = 1290  # tokens of an image in an answer, whatever its size


class GeminiLayout(NamedTuple):
    """One row: how one generation is shown what is not text. Figures are tokens unless they say otherwise.

    Attributes:
        message: added for each message but system texts.
        system: added for a system text that names its role.
        tool: returns the texts that stand for a tool.
        block: returns the texts that stand for a call or a result.
        delimiters: added around each tool, call and result.
        form: the bare texts of the answer's schema are billed.
        ciphertext: thousandths of a token per character of a thought's signature.
        ciphertext_less: subtracted for each signature.
    """

    message: int
    system: int
    tool: Callable[[Tool], Iterable[str]]
    block: Callable[[Block], Iterable[str]]
    delimiters: int = 0
    form: bool = False
    ciphertext: int = 0
    ciphertext_less: int = 0


def lay_out_gemini(prompt: Prompt, layout: GeminiLayout, builder: FrameBuilder) -> None:
    """Add a conversation to a builder.

    Args:
        prompt: the conversation.
        layout: the row of its generation.
        builder: gathers the texts and constants.
    """
    for tool in prompt.tools:
        if tool.name:  # Google's own tools leave no trace in the prompt
            _add(layout.tool(tool), layout.delimiters, builder)
    if layout.form and prompt.form:
        _add(texts_of_schema(resolve(prompt.form.schema), titles=True), 0, builder)
    for message in prompt.messages:
        _lay_out_message(message, layout, builder)


def _lay_out_message(message: Message, layout: GeminiLayout, builder: FrameBuilder) -> None:
    if message.role == "system":
        builder.tokens(layout.system if message.name else 0)
    else:
        builder.tokens(layout.message)
    for block in message.blocks:
        if block.kind in {TEXT, THOUGHT}:
            builder.text(block.text)
        elif block.kind in {CALL, RESULT}:
            _add(layout.block(block), layout.delimiters, builder)
        if block.encrypted:
            builder.ciphertext(block.encrypted, layout.ciphertext, layout.ciphertext_less)


def lay_out_gemini_answer(answer: Answer, layout: GeminiLayout, builder: FrameBuilder) -> None:
    """Add an answer to a builder: its texts, its calls as its generation writes them, its images.

    Args:
        answer: the answer, all its alternatives; thoughts are billed apart.
        layout: the row of its generation.
        builder: gathers the texts and constants.
    """
    for block in (block for blocks in answer.alternatives for block in blocks):
        if block.kind == TEXT:
            builder.text(block.text)
        elif block.kind == CALL:
            _add(layout.block(block), layout.delimiters, builder)
        elif block.kind == IMAGE:
            builder.tokens(IMAGE_OUT)


def _add(texts: Iterable[str], delimiters: int, builder: FrameBuilder) -> None:
    """Add texts; one that holds escape tokens is cut there, and each escape is a token."""
    builder.tokens(delimiters)
    for text in texts:
        builder.pieces(text)


def write_stub(tool: Tool) -> list[str]:
    """Return a tool as a Python function, after a dataclass for each object among its parameters."""
    schema = resolve(tool.parameters)
    classes: list[str] = []
    fields = _fields(schema, _camel(tool.name), classes)
    head = "".join(f"{INDENT}{name}: {kind}{default},\n" for name, kind, default, _ in fields)
    doc = _docstring(tool.description, "Args", fields)
    returns = dict_of(resolve(tool.returns))
    kind = _python_type(returns, f"{_camel(tool.name)}Response", classes) if returns.get("properties") else "dict"
    return [*classes, f"def {tool.name}(\n{head}) -> {kind}:\n{doc}"]


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


def write_stub_block(block: Block) -> list[str]:
    """Return a call as the Python expression that makes it, a result under the name that Gemini 2.5 knows it by."""
    if block.kind == RESULT:
        return [spaced_json({f"{block.name}_response": block.value})]
    arguments = ", ".join(f"{key} = {spaced_json(value)}" for key, value in dict_of(block.value).items())
    return [f"print(default_api.{block.name}({arguments}))"]


def write_declaration(tool: Tool) -> list[str]:
    """Return a tool as Gemini 3 is shown it; empty descriptions and lists leave no trace."""
    schemas = {"parameters": resolve(tool.parameters) or None, "response": resolve(tool.returns) or None}
    whole = {"description": tool.description, **schemas}
    return [f"declaration:{tool.name}{_escape(_prune(whole))}"]


def _prune(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _prune(child) for key, child in value.items() if key not in HIDDEN_KEYS}
        return {key: child for key, child in kept.items() if child not in ("", {}, [], None)}
    return [_prune(child) for child in value] if isinstance(value, list) else value


HIDDEN_KEYS = frozenset({"additionalProperties", "$defs", "$schema", "definitions"})


def _escape(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_escape(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_escape(child) for child in value) + "]"
    return f"{SPECIAL}{value}{SPECIAL}" if isinstance(value, str) else spaced_json(value)


def write_declaration_block(block: Block) -> list[str]:
    """Return a call or a result as Gemini 3 writes it."""
    kind = "response" if block.kind == RESULT else "call"
    return [f"{kind}:{block.name}{_escape(dict_of(block.value))}"]


def write_tool_texts(tool: Tool) -> list[str]:
    """Return the texts of a tool that Gemini 2.0 and Vertex bill: names, texts and types, without any sign."""
    schema = None if tool.kind == "json_schema" else resolve(tool.parameters)
    return [tool.name, tool.description, *texts_of_schema(schema)]


def texts_of_schema(schema: Any, *, titles: bool = False) -> list[str]:
    """Return what is billed of a schema: types, names, descriptions, required names, values of enums, defaults.

    Args:
        schema: a JSON schema whose references are written out.
        titles: titles are billed too, as they are in the form of an answer.
    """
    found: list[str] = []
    pending = [schema]
    while pending:
        node = pending.pop()
        if not isinstance(node, dict):
            continue
        words = [node.get(key) for key in ("type", "description", "format", *["title"] * titles)]
        found += map(text_of, [*words, *list_of(node.get("required")), *list_of(node.get("enum"))])
        found.append(_text_of_scalar(node["default"]) if node.get("default") is not None else "")
        properties = dict_of(node.get("properties"))
        found += properties
        pending += [*properties.values(), node.get("items"), *list_of(node.get("anyOf"))]
    return [text for text in found if text]


def texts_of_value(value: Any) -> list[str]:
    """Return the keys and scalars of a JSON value as texts."""
    found: list[str] = []
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            found += node
            pending += node.values()
        elif isinstance(node, list):
            pending += node
        elif node is not None:
            found.append(_text_of_scalar(node))
    return found


def _text_of_scalar(value: Any) -> str:
    """Return a scalar as the text it is billed by; a number is one token, however long."""
    if isinstance(value, str):
        return value
    return spaced_json(value) if isinstance(value, (bool, list, dict)) else "0"


def write_block_texts(block: Block) -> list[str]:
    """Return the texts of a call or a result that Gemini 2.0 and Vertex bill."""
    return [block.name, *texts_of_value(block.value)]


BARE_TEXTS = GeminiLayout(0, 0, write_tool_texts, write_block_texts, form=True)
STUBS = GeminiLayout(1, 1, write_stub, write_stub_block)
DECLARATIONS = GeminiLayout(
    1, 1, write_declaration, write_declaration_block, delimiters=2, ciphertext=190, ciphertext_less=25
)
GEMINI_LAYOUTS = {"gemini-2": BARE_TEXTS, "gemini-2.5": STUBS, "gemini-3": DECLARATIONS}


def gemini_layout_of(framing: str, provider: str, response: Any = None) -> GeminiLayout:
    """Return the row of a generation; Vertex, and OpenRouter through it, bills every generation by bare texts.

    Args:
        framing: the family's framing.
        provider: who was asked, in lower case.
        response: the answer: OpenRouter's names who served it.
    """
    layout = GEMINI_LAYOUTS.get(framing, BARE_TEXTS)
    through = provider == "openrouter" and dict_of(response).get("provider") != "Google AI Studio"
    return BARE_TEXTS._replace(form=layout.form) if "vertex" in provider or through else layout
