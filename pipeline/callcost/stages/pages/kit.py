"""HTML from values: what is text is escaped, what is markup says so by its type; and documents that fetch nothing.

A document carries its own style and script. Its policy allows exactly these two, by their digests, and nothing else:
no address is ever asked, so a page opens from disk, from a mail or from a CI artifact alike. How figures are written is
for figures.py.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from pathlib import Path

from callcost.readable import visible

_HERE = Path(__file__).parent
_PLAIN = re.compile(r"[\w.:-]+", re.ASCII)  # what an attribute may hold without quotes
_OPEN_END = {"td", "th", "tr"}  # elements whose end tag HTML lets out: there are thousands of them
_EMPTY = {"input", "meta"}
_LONGEST = 48  # signs of a name that are shown
_LONGEST_TITLE = 200  # signs of a longer name that show beside it


class Markup(str):
    """HTML, escaped already."""

    __slots__ = ()


Child = str | None | Iterable["Child"]


def element(tag: str, *children: Child, **attributes: str | int | bool | None) -> Markup:
    """Return an element.

    Args:
        tag: its name.
        children: text, which is escaped, Markup, or several of these; None is left out.
        attributes: ``class_`` and ``for_`` for those words; ``_`` inside stands for a hyphen. True is an attribute
            without a value; None and False leave it out.

    Example:
        >>> element("p", "1 < 2", class_="note")
        '<p class=note>1 &lt; 2</p>'
    """
    words = "".join(_attribute(name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items())
    end = "" if tag in _EMPTY or tag in _OPEN_END else f"</{tag}>"
    return Markup(f"<{tag}{words}>{_inner(children)}{end}")


def joined(*children: Child) -> Markup:
    """Return children after each other, without an element around them."""
    return Markup(_inner(children))


def _inner(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    return escape(visible(child)) if isinstance(child, str) else "".join(_inner(each) for each in child)


def _attribute(name: str, value: str | int | bool | None) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    text = str(value)
    return f" {name}={text}" if _PLAIN.fullmatch(text) else f' {name}="{escape(visible(text))}"'


def name_of(value: object, unknown: str = "not stated") -> Markup:
    """Return a name out of a log: cut where it is long, and kept from turning the text around it."""
    if value is None:
        return element("i", unknown)
    text = visible(str(value))
    if len(text) <= _LONGEST:
        return element("bdi", text)
    return element("bdi", f"{text[: _LONGEST - 1]}…", title=text[:_LONGEST_TITLE])


def table(
    caption: str,
    head: Sequence[Child],
    rows: Iterable[Sequence[Markup]],
    foot: Sequence[Markup] | None = None,
    *,
    class_: str = "",
    words: int = 1,
) -> Markup:
    """Return a table in a frame that scrolls where it is too wide.

    Args:
        caption: what it shows, for those who do not see it and for all.
        head: titles of the columns; the first is that of the rows' names.
        rows: cells of each row, as ``cell`` and ``row_name`` make them.
        foot: the last row, the whole.
        class_: of the table.
        words: columns that hold words, from the first on; the others hold figures.
    """
    parts = [
        element("caption", caption),
        element("thead", element("tr", [element("th", title, scope="col") for title in head])),
        element("tbody", [element("tr", row) for row in rows]),
        element("tfoot", element("tr", foot)) if foot else None,
    ]
    frame: dict[str, str | int] = {"role": "region", "aria-label": caption, "tabindex": 0}
    return element("div", element("table", parts, class_=f"w{words} {class_}".strip()), class_="scroll", **frame)


def section(title: str, name: str, *body: Child, class_: str = "card") -> Markup:
    """Return a part of a page under a heading; ``name`` is its anchor."""
    heading = element("h2", title, id=name)
    return element("section", heading, *body, class_=class_, aria_labelledby=name)


def card(title: str, figure: Child, words: Child, class_: str = "") -> Markup:
    """Return one figure of the head of a page: what it is, the figure, and what there is to say of it."""
    parts = [element("h3", title), element("p", figure, class_="figure"), element("p", words, class_="note")]
    return element("div", parts, class_=f"card {class_}".strip())


def row_name(*children: Child) -> Markup:
    """Return the cell that names a row."""
    return element("th", *children, scope="row")


def cell(*children: Child, title: str | None = None, class_: str | None = None) -> Markup:
    """Return a cell; ``title`` is the exact figure of what is shown rounded."""
    return element("td", *children, title=title, class_=class_)


@cache
def _own(name: str) -> str:
    """Return the style or the script of all pages."""
    return (_HERE / name).read_text(encoding="utf-8").strip()


def _digest(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def document(title: str, *body: Child) -> bytes:
    """Return a page of HTML that needs nothing but itself."""
    style, script = _own("page.css"), _own("page.js")
    policy = (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    head = [
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content="callcost"),
        element("meta", name="referrer", content="no-referrer"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        Markup(f"<style>{style}</style>"),
    ]
    page = element(
        "html", element("head", head), element("body", *body, Markup(f"<script>{script}</script>")), lang="en"
    )
    return f"<!doctype html>\n{page}\n".encode()
