"""What a person sees while a report runs."""

from __future__ import annotations

import io
import re

from rich.console import Console

from callcost.cli.terminal.summary import Watcher, make_bar


def test_the_bar_shows_bytes_and_calls_their_speed_and_the_time_left() -> None:
    shown = io.StringIO()
    console = Console(file=shown, width=160)
    bar = make_bar(console)
    watcher = Watcher(bar)
    watcher.plan(4_000_000)
    for _ in range(3):
        watcher.advance(1_000_000, 1_500)
    console.print(bar.get_renderable())
    line = shown.getvalue()
    assert re.search(r"3\.0/4\.0 MB [\d.]+ [kMGTP]?B/s 4,500 calls, [\d,]+ calls/s \d:\d\d:\d\d", line), line
