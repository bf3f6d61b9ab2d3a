"""Where prices, vocabularies and kept answers lie: those of the package, and a user's own.

A user's own never lie in a folder that others may write to.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from callcost.errors import ConfigError


def data_dir() -> Path:
    """Return the folder with the bundled prices and vocabularies: the wheel's, else the checkout's.

    Raises:
        ConfigError: neither exists; the installation is broken.
    """
    here = Path(__file__).resolve().parent
    found = [place for place in (here / "_data", here.parents[1] / "data") if (place / "prices").is_dir()]
    if not found:
        raise ConfigError(f"no data folder beside {here}", hint="Install callcost again")
    return found[0]


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
