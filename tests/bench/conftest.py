"""Measurements run only when asked for: ``pytest -m bench``."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is marked ``bench`` unless the marker is asked for."""
    if "bench" in config.option.markexpr:
        return
    skip = pytest.mark.skip(reason="a measurement; ask for it with -m bench")
    for item in items:
        if item.get_closest_marker("bench"):
            item.add_marker(skip)
