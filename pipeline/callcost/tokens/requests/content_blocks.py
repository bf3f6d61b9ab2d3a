"""One piece of a message's content, of whatever provider, to a ``Block``: a table keyed by what marks the piece.

OpenAI and Anthropic mark a piece by its ``type``, Gemini and Bedrock by the one key that it has. Messages and whole
bodies are read in bodies.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from callcost.tokens.requests.json_values import compact_json, dict_of, first_of, list_of, parse_json, text_of
from callcost.tokens.requests.media import read_media, read_text
from callcost.tokens.requests.types import AUDIO, CALL, DOCUMENT, IMAGE, RESULT, TEXT, THOUGHT, UNREAD, VIDEO, Block

Piece = dict[str, Any]


def read_blocks(content: Any) -> list[Block]:
    """Return the blocks of a message's content: a string, one piece or a list of pieces."""
    if isinstance(content, str):
        return [Block(TEXT, content)] if content else []
    pieces = [content] if isinstance(content, dict) else list_of(content)
    return [block for piece in pieces for block in read_piece(piece)]


def read_piece(piece: Any) -> list[Block]:
    """Return what one piece of content holds; a piece of unknown kind holds nothing that can be counted."""
    if isinstance(piece, str):
        return [Block(TEXT, piece)]
    if not isinstance(piece, dict):
        return []
    reader = READERS.get(text_of(piece.get("type"))) or next((READERS[key] for key in KEYED if key in piece), None)
    return reader(piece) if reader else [Block(UNREAD)]


def read_call(name: Any, arguments: Any, call: Any = "", **more: Any) -> Block:
    """Return a tool call.

    Args:
        name: name of the tool.
        arguments: JSON text, kept as it is, or a value, kept as minified JSON.
        call: id of the call.
        more: other fields of the block.
    """
    value = parse_json(arguments) if isinstance(arguments, str) else arguments
    text = arguments if isinstance(arguments, str) else "" if arguments is None else compact_json(arguments)
    return Block(CALL, text, text_of(name), value, id=text_of(call), **more)


def read_result(call: Any, content: Any, name: Any = "") -> Block:
    """Return what a tool returned.

    Args:
        call: the id of the call that it answers.
        content: text, pieces of content, or a JSON value.
        name: the tool's name, where the result repeats it.
    """
    media, blocks = None, list[Block]()
    if isinstance(content, str):
        text, value = content, None
    else:
        blocks = read_blocks(content) if isinstance(content, list) else []
        media = next((block.media for block in blocks if block.media), None)
        text, value = "".join(block.text for block in blocks), content
        if not blocks and content not in (None, []):
            text = compact_json(content)
    return Block(RESULT, text, text_of(name), value, media, text_of(call), cited=any(block.cited for block in blocks))


def _text(piece: Piece) -> list[Block]:
    text = text_of(first_of(piece, "text", "refusal"))
    if piece.get("thought") is True:
        return [Block(THOUGHT, text)]
    return [Block(TEXT, text, encrypted=_signature_length(piece))]


def _signature_length(piece: Piece) -> int:
    return len(text_of(first_of(piece, "thoughtSignature", "thought_signature")))


def _image_url(piece: Piece) -> list[Block]:
    link = first_of(piece, "image_url", "imageUrl")
    source = dict_of(link).get("url", link)
    detail = text_of(dict_of(link).get("detail")) or text_of(piece.get("detail"))
    return [Block(IMAGE, media=read_media(IMAGE, text_of(source), detail))]


def _audio(piece: Piece) -> list[Block]:
    return [Block(AUDIO, media=read_media(AUDIO, text_of(dict_of(piece.get("input_audio")).get("data"))))]


def _file(piece: Piece) -> list[Block]:
    inner = dict_of(piece.get("file")) or piece
    return [_by_mime("application/pdf", text_of(inner.get("file_data")))]


def _source(piece: Piece) -> list[Block]:
    """Read Anthropic's image and document, and Bedrock Converse's, which wraps them once more."""
    kind = IMAGE if piece.get("type") == "image" or "image" in piece else DOCUMENT
    inner = dict_of(piece.get(kind)) or piece
    source, cited = dict_of(inner.get("source")), _is_cited(inner)
    data = text_of(first_of(source, "data", "bytes"))
    if source.get("type") == "text" or isinstance(source.get("text"), str):
        return [Block(TEXT, text_of(first_of(source, "data", "text")), cited=cited)]
    if isinstance(source.get("content"), (str, list)):
        return [replace(block, cited=cited) for block in read_blocks(source["content"])]
    if inner.get("format") in TEXT_FORMATS:
        return [Block(TEXT, read_text(data), cited=cited)]
    return [Block(kind, media=read_media(kind, data), cited=cited)]


def _inline(piece: Piece) -> list[Block]:
    inner = dict_of(first_of(piece, "inlineData", "inline_data", "fileData", "file_data"))
    return [_by_mime(text_of(first_of(inner, "mimeType", "mime_type")), text_of(inner.get("data")))]


def _by_mime(mime: str, data: str) -> Block:
    if data.startswith("data:"):
        mime = data[5:].partition(";")[0]
    main = mime.partition("/")[0]
    if main == "text" or mime == "application/json":
        return Block(TEXT, read_text(data))
    kind = {"image": IMAGE, "audio": AUDIO, "video": VIDEO}.get(main, DOCUMENT)
    return Block(kind, media=read_media(kind, data))


def _function_call(piece: Piece) -> list[Block]:
    """Read the call of a Gemini part, or an OpenAI Responses item."""
    inner = piece.get("functionCall") or piece.get("function_call")
    if isinstance(inner, dict):
        arguments, encrypted = dict_of(inner.get("args")), _signature_length(piece)
        return [read_call(inner.get("name"), arguments, inner.get("id"), encrypted=encrypted)]
    own_id = bool(piece.get("id"))
    return [read_call(piece.get("name"), piece.get("arguments"), piece.get("call_id"), own_id=own_id)]


def _function_response(piece: Piece) -> list[Block]:
    inner = dict_of(first_of(piece, "functionResponse", "function_response"))
    media = [block for part in list_of(inner.get("parts")) for block in read_piece(part) if block.media]
    return [read_result(inner.get("id"), inner.get("response"), inner.get("name")), *media]


def _tool_use(piece: Piece) -> list[Block]:
    inner = dict_of(piece.get("toolUse")) or piece
    arguments = inner.get("input")
    if arguments in (None, {}, "") and isinstance(inner.get("input_json"), str):
        arguments = inner["input_json"]
    return [read_call(inner.get("name"), arguments, first_of(inner, "toolUseId", "id"))]


def _tool_result(piece: Piece) -> list[Block]:
    inner = dict_of(piece.get("toolResult")) or piece
    return [read_result(first_of(inner, "toolUseId", "tool_use_id"), inner.get("content"))]


def _json(piece: Piece) -> list[Block]:
    return [Block(TEXT, compact_json(piece.get("json")), value=piece.get("json"))]


def _thinking(piece: Piece) -> list[Block]:
    inner = dict_of(dict_of(piece.get("reasoningContent")).get("reasoningText")) or piece
    text = "".join(block.text for block in read_blocks(first_of(inner, "thinking", "text", "data")))
    return [Block(THOUGHT, text, encrypted=len(text_of(inner.get("signature"))))]


def _reasoning(piece: Piece) -> list[Block]:
    pieces = list_of(piece.get("content")) or list_of(piece.get("summary"))
    text = "".join(text_of(dict_of(part).get("text")) for part in pieces)
    return [Block(THOUGHT, text, encrypted=len(text_of(piece.get("encrypted_content"))))]


def _call_output(piece: Piece) -> list[Block]:
    return [read_result(piece.get("call_id"), piece.get("output"))]


def _custom_call(piece: Piece) -> list[Block]:
    name, call = text_of(piece.get("name")), text_of(piece.get("call_id"))
    return [Block(CALL, text_of(piece.get("input")), name, id=call, own_id=bool(piece.get("id")))]


def _search_result(piece: Piece) -> list[Block]:
    found = [text_of(piece.get("source")), text_of(piece.get("title"))]
    texts = [block.text for block in read_blocks(piece.get("content"))]
    return [Block(TEXT, "\n".join([text for text in found if text] + texts), cited=_is_cited(piece))]


def _is_cited(piece: Piece) -> bool:
    return dict_of(piece.get("citations")).get("enabled") is True


TEXT_FORMATS = frozenset({"txt", "md", "csv", "html"})  # of Bedrock's documents
READERS: dict[str, Callable[[Piece], list[Block]]] = {
    key: reader
    for reader, keys in (
        (_text, ("text", "input_text", "output_text", "refusal")),
        (_image_url, ("image_url", "input_image")),
        (_audio, ("input_audio",)),
        (_file, ("file", "input_file")),
        (_source, ("image", "document")),
        (_inline, ("inlineData", "inline_data", "fileData", "file_data")),
        (_function_call, ("function_call", "functionCall")),
        (_function_response, ("functionResponse", "function_response")),
        (_call_output, ("function_call_output", "custom_tool_call_output")),
        (_custom_call, ("custom_tool_call",)),
        (_tool_use, ("tool_use", "toolUse")),
        (_tool_result, ("tool_result", "toolResult")),
        (_json, ("json",)),
        (_thinking, ("thinking", "reasoningContent")),
        (_reasoning, ("reasoning",)),
        (_search_result, ("search_result",)),
    )
    for key in keys
}
KEYED = tuple(key for key in READERS if key not in {"refusal", "file", "reasoning", "input_text", "output_text"})
