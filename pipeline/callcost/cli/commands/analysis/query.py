"""`callcost query`: SQL over calls, charges, spend and rejects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from callcost.cli import options as shared
from callcost.cli.click_types import Verb
from callcost.cli.terminal.output import show_bytes, show_text
from callcost.settings import BINARY_FORMATS

if TYPE_CHECKING:
    import polars as pl


@click.command(cls=Verb)
@shared.source_argument
@click.argument("sql", metavar="SQL")
@shared.answer_options
@click.option("--by", default="model,user", show_default=True, metavar="LIST", help="Groups of the table spend.")
@shared.select_options
@shared.read_options
@shared.price_options
@shared.work_options
@shared.cache_option
def query(**words: Any) -> int:
    """Answer a SELECT over what SOURCE holds.

    SOURCE is logs, the folder of a report made with --calls, or a --state; several such folders are one source. The
    tables are calls (a row per call), charges (a row per call and class of tokens), spend (a row per group of --by) and
    rejects; their columns are those of the files. Sums of money are exact.
    """
    from callcost.cli.terminal.summary import watched  # noqa: PLC0415 - loads rich and Polars
    from callcost.jobs.analysis.query import query_calls  # noqa: PLC0415

    sql, form, out = (words.pop(name) for name in ("sql", "form", "out"))
    found = watched(query_calls, sql, shared.report_options_of(words), quiet=words["quiet"])
    show_answer(found, form, out)
    return 0


def show_answer(found: pl.DataFrame, form: str, out: str | None) -> None:
    """Write a table that was asked for: to stdout, or whole to a file.

    Raises:
        ReportError: it cannot be written.
    """
    from callcost.cli.terminal.listing import show_rows  # noqa: PLC0415
    from callcost.stages.report.publish import flat_table, plain_decimals, write_file  # noqa: PLC0415 - loads Polars
    from callcost.stages.report.workbook import table_bytes  # noqa: PLC0415

    if form == shared.TABLE and out is None:
        numbers = [name for name, kind in found.schema.items() if kind.is_numeric()]
        show_rows(found.columns, plain_decimals(flat_table(found)).rows(), numbers=numbers)
        return
    data = table_bytes("markdown" if form == shared.TABLE else form, found)
    if out is not None:
        write_file(out, data)
    elif form in BINARY_FORMATS:
        show_bytes(data)
    else:
        show_text(data.decode())
