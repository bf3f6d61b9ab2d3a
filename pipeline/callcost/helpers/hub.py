"""Tokenizers of the Hugging Face hub: fetched where it answers, else those that were fetched before."""

from __future__ import annotations

import contextlib
import socket
import threading
import urllib.request
from urllib.parse import urlsplit

from huggingface_hub import hf_hub_download  # what tokenizers itself asks
from huggingface_hub.constants import ENDPOINT
from tokenizers import Tokenizer

SECONDS = 1.5  # to wait for a connection
_PORTS = {"http": 80, "socks5": 1080, "socks5h": 1080}


def fetch_tokenizer(identifier: str, revision: str, token: str | None) -> Tokenizer:
    """Return the tokenizer of a repository.

    The hub's own client, where nothing answers, asks for half a minute and prints each attempt, also for a file that it
    has; so it is told beforehand that it is alone.

    Args:
        identifier: name of the repository.
        revision: branch, tag or commit of the repository.
        token: opens a private repository.

    Raises:
        Exception: whatever the hub's client or tokenizers raises.
    """
    alone = not hub_answers()
    path = hf_hub_download(identifier, "tokenizer.json", revision=revision, token=token, local_files_only=alone)
    return Tokenizer.from_file(path)


def hub_answers() -> bool:
    """Say whether the hub, or the proxy on the way to it, takes a connection in time."""
    hub = urlsplit(ENDPOINT)
    proxies = {} if urllib.request.proxy_bypass(hub.hostname or "") else urllib.request.getproxies()
    way = proxies.get(hub.scheme) or proxies.get("all") or ENDPOINT
    asked = urlsplit(way if "://" in way else f"http://{way}")
    address = (asked.hostname or "", asked.port or _PORTS.get(asked.scheme, 443))
    connected = threading.Event()

    def connect() -> None:
        with contextlib.suppress(OSError, ValueError), socket.create_connection(address, SECONDS):
            connected.set()

    asking = threading.Thread(target=connect, daemon=True)  # looking up a name knows no time limit
    asking.start()
    asking.join(SECONDS)
    return connected.is_set()
