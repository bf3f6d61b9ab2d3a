"""Where a user's own price versions, vocabularies and kept answers lie: never in a folder that others may write to."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def user_data_dir() -> Path:
    """Return the folder for the user's own price versions and vocabularies (``CALLCOST_DATA_DIR`` moves it)."""
    return _folder("DATA", "user_data_path")


def user_cache_dir() -> Path | None:
    """Return the user's folder for what can be made again; None: nothing may be kept.

    ``CALLCOST_CACHE_DIR`` moves it, ``CALLCOST_NO_CACHE=1`` switches it off.
    """
    is_off = os.environ.get("CALLCOST_NO_CACHE", "").lower() in {"true", "1"}
    return None if is_off else _folder("CACHE", "user_cache_path")


def _folder(kind: str, usual: str) -> Path:
    """Return a folder; of a user without a home, as in a container, that of the installation."""
    import platformdirs  # noqa: PLC0415 - only commands that touch user data pay for it

    place = os.environ.get(f"CALLCOST_{kind}_DIR")
    if not place and os.path.expanduser("~") == "~":  # noqa: PTH111 - Path.home raises
        place = f"{sys.prefix}/share/callcost/{kind.lower()}"
    return Path(place or getattr(platformdirs, usual)("callcost"))
