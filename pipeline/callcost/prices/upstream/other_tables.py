"""What other public tables said of a rate, and since when: the second source that a new cost map is compared with.

``data/prices/other_tables.csv.zst`` holds dated rows of tables that are made independently of the cost maps; where the
package genai-prices is installed, its own table is one more. Names are compared by ``plain_name``, since each table
spells them in its own way. What a difference means is left to ``gate.py``.
"""

from __future__ import annotations

import csv
import functools
import importlib
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, NamedTuple

import zstandard

from callcost.data_folders import data_dir
from callcost.errors import PriceError
from callcost.models import provider_of
from callcost.prices.book.cost_map import rate

FILE = "other_tables.csv.zst"
# One company's second API or second name, whose models cost the same.
_HOSTS = {"bedrock_converse": "bedrock", "bedrock_mantle": "bedrock", "azure_text": "azure", "cohere_chat": "cohere"}
_VENDOR = re.compile(r"^(?:(?:global|us-gov|[a-z]{2,4})\.)?[a-z0-9]+\.(?=[a-z])")  # Bedrock: us.anthropic.claude-...
_REVISION = re.compile(r"(?:-v1|(?<=\d{8})-v\d+)?(?::\d+)?$|@(?!\d{8}$).*$")
_DATE = re.compile(r"[-@]20\d\d-?[01]\d-?[0-3]\d(?=$|-)")


class SeenRate(NamedTuple):
    """A rate that a table had.

    Attributes:
        table: whose; tables that are made from each other share a name.
        host: who serves the model, as ``host_of`` gives it; "": the table does not say.
        model: as the table spells it, but for a path before it.
        unit: as in ``units.TOKEN_UNITS``.
        value: US dollars a token.
        seen_from: first day on which the table was seen to say so, as 2026-11-20.
        seen_until: the last one.
    """

    table: str
    host: str
    model: str
    unit: str
    value: Decimal
    seen_from: str
    seen_until: str


class OtherTables:
    """Rates of other tables, looked up by model and day."""

    def __init__(self, rows: Iterable[SeenRate]) -> None:
        self._rows: dict[tuple[str, str], list[SeenRate]] = defaultdict(list)
        for row in rows:
            self._rows[undated(plain_name(row.model)), row.unit].append(row)

    def known(self, model: str, unit: str, day: str) -> list[SeenRate]:
        """Return what was known before a day of an undated plain name: each table's last word of each of its names."""
        of_table: dict[tuple[str, str, str], list[SeenRate]] = {}
        for row in self._rows.get((model, unit), ()):
            if row.seen_from < day:
                of_table.setdefault((row.table, row.host, row.model), []).append(row)
        return [row for rows in of_table.values() for row in _last_rows(rows, day)]


def _last_rows(rows: list[SeenRate], day: str) -> list[SeenRate]:
    """Return the rows that a table still had on a day, else the one that it had last."""
    still = [row for row in rows if row.seen_until >= day]
    return still or [max(rows, key=lambda row: (row.seen_from, row.seen_until))]


@functools.lru_cache(maxsize=1 << 16)
def plain_name(model: str) -> str:
    """Return a model's name without its host, its maker's path and its revision, in one spelling; dates stay.

    >>> plain_name("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), plain_name("novita/zai-org/GLM-4.7")
    ('claude-sonnet-4-5-20250929', 'glm-4-7')
    """
    name = _REVISION.sub("", _VENDOR.sub("", spelled(model)))
    return name.replace(".", "-").replace("_", "-").replace(" ", "-").replace("@", "-")


def spelled(model: str) -> str:
    """Return a model's name without a path before it, in lower case."""
    return model.strip().lower().rpartition("/")[2]


@functools.lru_cache(maxsize=1 << 16)
def undated(name: str) -> str:
    """Return a plain name without the date of its snapshot.

    >>> undated("claude-sonnet-4-5-20250929"), undated("gpt-4o-2024-08-06")
    ('claude-sonnet-4-5', 'gpt-4o')
    """
    return _DATE.sub("", name)


@functools.lru_cache(maxsize=1 << 12)
def host_of(provider: str) -> str:
    """Return one name for all APIs of one host.

    >>> host_of("bedrock_converse"), host_of("vertex_ai-anthropic_models"), host_of("x-ai")
    ('bedrock', 'vertex_ai', 'xai')
    """
    name = provider_of(provider, "") or ""
    name = provider_of(name.removeprefix("huggingface_"), "") or ""
    name = name.partition("-")[0] if name.startswith(("vertex_ai", "fireworks_ai")) else name
    return _HOSTS.get(name, name)


@functools.lru_cache(maxsize=1)
def load_other_tables() -> OtherTables:
    """Load the bundled rows, and those of genai-prices where it is installed.

    Raises:
        PriceError: the file is missing or damaged.
    """
    return OtherTables([*read_bundled(), *read_genai_prices()])


def read_bundled() -> Iterator[SeenRate]:
    """Yield the bundled rows.

    Raises:
        PriceError: the file is missing or damaged.
    """
    path = data_dir() / "prices" / FILE
    try:
        text = zstandard.ZstdDecompressor().decompress(path.read_bytes(), max_output_size=64 << 20).decode()
        for cells in csv.DictReader(io.StringIO(text)):
            texts = {name: text for name, text in cells.items() if name != "value"}
            yield SeenRate(value=rate(cells["value"]), **texts)
    except (OSError, ValueError, TypeError, KeyError, ArithmeticError, zstandard.ZstdError) as error:
        message = f"cannot read the rates of other tables {path} ({error})"
        raise PriceError(message, hint="Install callcost again") from error


_MILLION = Decimal(10**6)
_GENAI = "genai-prices"
_GENAI_UNITS = {
    "input_mtok": "text_input", "output_mtok": "text_output", "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m", "cache_write_1h_mtok": "cache_write_1h",
}  # fmt: skip


def read_genai_prices() -> Iterator[SeenRate]:
    """Yield what the installed genai-prices says (https://github.com/pydantic/genai-prices); nothing without it.

    It says since when a rate holds only where that is a rule of its own; what it says otherwise was always known here.
    """
    try:
        providers = importlib.import_module("genai_prices.data").providers  # its bundled data: no network
    except ImportError:
        return
    for provider in providers:
        for model in provider.models:
            for since, until, prices in _spans(model.prices):
                for field, unit in _GENAI_UNITS.items():
                    listed = getattr(prices, field, None)
                    value = getattr(listed, "base", listed)  # of tiers, the first
                    if value:
                        about = (host_of(provider.id), spelled(model.id), unit, rate(value / _MILLION))
                        yield SeenRate(_GENAI, *about, since, until)


def _spans(prices: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield (first day, last day, prices) of one model, leaving out what holds for hours of the day only."""
    rows = prices if isinstance(prices, list) else [prices]
    dated = [
        (str(getattr(constraint, "start_date", "")), getattr(row, "prices", row))
        for row in rows
        if (constraint := getattr(row, "constraint", None)) is None or hasattr(constraint, "start_date")
    ]
    dated.sort(key=lambda pair: pair[0])
    for number, (since, found) in enumerate(dated):
        yield since, dated[number + 1][0] if number + 1 < len(dated) else "9999-12-31", found
