"""Pulling a map, against a real server on loopback: what is added, what is refused and why, what is tried again."""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import ssl
import subprocess
import threading
import time
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from callcost.errors import PriceError
from callcost.net.http import Patience, fetch
from callcost.net.price_maps import add_checked, pull_map
from callcost.prices.book import catalog as catalog_module
from callcost.prices.book.archive import microseconds
from callcost.prices.book.catalog import add_map, load_catalog, user_prices
from callcost.prices.book.cost_map import split_map
from callcost.prices.upstream.map_files import MAX_BYTES
from tests.net.server import Reply, Server, sends, serving, streams

HASTY = Patience(connect=5, read=0.5, total=30, pause=0.01, attempts=3)
MIB = 1 << 20


def models(count: int, **changed: Any) -> dict[str, Any]:
    """Return a map of so many models of one price each."""
    rows: dict[str, Any] = {f"model-{n}": {"input_cost_per_token": 1e-6, "mode": "chat"} for n in range(count)}
    return rows | changed


def as_json(content: object) -> bytes:
    return json.dumps(content).encode()


@pytest.fixture(autouse=True)
def small_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundled history of one version with twenty models, an empty user folder, and no proxy."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    folder = tmp_path / "data" / "prices"
    began = microseconds("2025-01-01")
    add_map(split_map(as_json(models(20))), name="first", effective_from=began, source="here", folder=folder)
    monkeypatch.setattr(catalog_module, "data_dir", lambda: tmp_path / "data")
    monkeypatch.setenv("CALLCOST_DATA_DIR", str(tmp_path / "user"))
    return tmp_path / "user" / "prices"


def test_a_map_is_added_and_in_force_from_now_on() -> None:
    with serving(sends(as_json(models(21)))) as server:
        before = time.time_ns() // 1000 - 1_000_000
        added = pull_map(server.url, patience=HASTY)
    version = load_catalog().newest
    assert version.name == added.version == time.strftime("litellm-%Y-%m-%d", time.gmtime(version.effective_from / 1e6))
    assert version.source == server.url
    assert before <= version.effective_from <= time.time_ns() // 1000
    assert len(list(load_catalog().names(version))) == 21
    assert added.findings is not None
    assert added.findings.change.added == ["model-20"]


def test_a_second_pull_asks_whether_it_changed() -> None:
    with serving(sends(as_json(models(21)), ETag='"one"'), sends(b"", status=304)) as server:
        pull_map(server.url, patience=HASTY)
        again = pull_map(server.url, patience=HASTY)
    assert [request.headers["If-None-Match"] for request in server.asked] == [None, '"one"']
    assert (again.version, again.findings) == (None, None)
    assert len(load_catalog().versions) == 2


def test_a_pull_after_its_version_was_removed_asks_for_all_of_it(small_catalog: Path) -> None:
    with serving(sends(as_json(models(21)), ETag='"one"')) as server:
        pull_map(server.url, patience=HASTY)
        for path in small_catalog.glob("*.jsonl*"):
            path.unlink()
        assert pull_map(server.url, patience=HASTY).version == load_catalog().newest.name
    assert [request.headers["If-None-Match"] for request in server.asked] == [None, None]


def test_a_map_that_says_what_is_in_force_is_not_added() -> None:
    with serving(sends(as_json(models(20)))) as server:
        added = pull_map(server.url, patience=HASTY)
    assert added.version is None
    assert added.findings is not None
    assert [version.name for version in load_catalog().versions] == ["first"]


def test_two_pulls_of_a_day_have_two_names() -> None:
    with serving(sends(as_json(models(21))), sends(as_json(models(22)))) as server:
        first, second = pull_map(server.url, patience=HASTY), pull_map(server.url, patience=HASTY)
    assert first.version is not None
    assert second.version in {f"{first.version}.2", time.strftime("litellm-%Y-%m-%d", time.gmtime())}


def test_a_dry_run_says_everything_and_adds_nothing() -> None:
    with serving(sends(as_json(models(5)), ETag='"one"')) as server:
        added = pull_map(server.url, dry_run=True, patience=HASTY)
    assert added.version is None
    assert added.findings is not None
    assert added.findings.refusals == ["it lists only 5 of the 20 models of the version before it"]
    assert not user_prices().exists()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (models(10), "it lists only 10 of the 20 models"),
        ({}, "it holds no price at all; it lists only 0 of the 20 models"),
        (models(20, worse={"input_cost_per_token": -1e-6}), "1 models have a price below 0, such as worse"),
        (
            {name: {"input_cost_per_token": 1} for name in models(20)},
            "prices of 20 of 20 models moved more than threefold",
        ),
        ({name: {"mode": "chat"} for name in models(20)}, "it holds no price at all"),
    ],
)
def test_a_map_that_looks_wrong_is_refused_with_the_reason_unless_forced(content: dict[str, Any], why: str) -> None:
    with serving(sends(as_json(content))) as server:
        with pytest.raises(PriceError, match=why) as caught:
            pull_map(server.url, patience=HASTY)
        assert "--force" in caught.value.hint
        assert len(load_catalog().versions) == 1
        assert pull_map(server.url, force=True, patience=HASTY).version == load_catalog().newest.name


def test_one_price_times_twelve_is_listed() -> None:
    changed = {"model-3": {"input_cost_per_token": 1.2e-5}, "model-4": {"input_cost_per_token": 2.9e-6}}
    with serving(sends(as_json(models(20, **changed)))) as server:
        added = pull_map(server.url, patience=HASTY)
    assert added.version is not None
    assert added.findings is not None
    assert [(price.model, price.ratio) for price in added.findings.jumps] == [("model-3", Decimal(12))]
    assert [price.model for price in added.findings.change.prices] == ["model-3", "model-4"]


def test_a_cost_field_that_is_not_understood_is_listed() -> None:
    changed = {"model-3": {"input_cost_per_token": 1e-6, "input_cost_per_smell": 1}}
    with serving(sends(as_json(models(20, **changed)))) as server:
        added = pull_map(server.url, patience=HASTY)
    assert added.version is not None
    assert added.findings is not None
    assert added.findings.unplaced == {"input_cost_per_smell": 1}


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (sends(b"gone", status=404), "answered 404 Not Found"),
        (sends(b"no", status=403), "answered 403 Forbidden"),
        (sends(b"", status=304), "answered 304 Not Modified"),
        (sends(b"<!doctype html><p>Sign in", Content_Type="text/html"), "not valid JSON"),
        (sends(as_json([1])), "not a JSON object"),
        (sends(as_json(models(20))[:-9]), "not valid JSON"),
        (sends(b"not gzip", Content_Encoding="gzip"), "cannot fetch"),
    ],
)
def test_what_will_not_get_better_is_asked_for_once(reply: Reply, why: str) -> None:
    with serving(reply) as server:
        with pytest.raises(PriceError, match=why):
            pull_map(server.url, patience=HASTY)
        assert len(server.asked) == 1
    assert not user_prices().exists()


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (sends(b"", status=500), "it answered 500 Internal Server Error"),
        (sends(b"", status=503), "it answered 503 Service Unavailable"),
        (sends(as_json(models(20))[:100], stated=5000), "peer closed connection"),
        (lambda request: request.connection.close(), "disconnected"),
        (lambda _: time.sleep(1), "timed out"),
    ],
    ids=["500", "503", "truncated", "hung up", "silent"],
)
def test_what_may_get_better_is_tried_again(reply: Reply, why: str) -> None:
    with serving(reply) as server:
        with pytest.raises(PriceError, match=rf"in 3 attempts \(.*{why}") as caught:
            fetch(server.url, patience=HASTY)
        assert len(server.asked) == 3
        assert "works without it" in caught.value.hint
    with serving(reply, sends(b"{}", ETag='"x"')) as server:
        assert fetch(server.url, patience=HASTY) == (b"{}", '"x"')


def test_an_answer_that_drips_is_given_up_at_the_deadline() -> None:
    drips = streams(b" ", 200, lambda: time.sleep(0.05))
    began = time.monotonic()
    with serving(drips) as server, pytest.raises(PriceError, match="the answer takes too long"):
        fetch(server.url, patience=Patience(total=0.3, pause=0, attempts=2))
    assert time.monotonic() - began < 8


def test_one_gibibyte_is_refused_after_64_mebibytes() -> None:
    sent = []
    endless = streams(b" " * MIB, 1024, lambda: sent.append(MIB))
    with serving(endless) as server, pytest.raises(PriceError, match="sends more than 64 MiB"):
        fetch(server.url, patience=Patience(attempts=1))
    assert sum(sent) < 2 * MAX_BYTES


def test_one_stated_gibibyte_is_refused_at_once() -> None:
    with serving(sends(b"{}", stated=1 << 30)) as server, pytest.raises(PriceError, match="sends more than 64 MiB"):
        fetch(server.url, patience=HASTY)


def test_the_limit_is_of_what_is_unpacked() -> None:
    bomb = gzip.compress(b" " * (MAX_BYTES + MIB), compresslevel=1)
    packed = sends(bomb, Content_Encoding="gzip")
    with serving(packed) as server, pytest.raises(PriceError, match="sends more than 64 MiB"):
        fetch(server.url, patience=Patience(attempts=1))
    with serving(sends(gzip.compress(as_json(models(20))), Content_Encoding="gzip")) as server:
        assert fetch(server.url, patience=HASTY).content == as_json(models(20))


@pytest.mark.parametrize("packing", ["gzip, gzip", "br", "zstd", "deflate"])
def test_what_is_packed_otherwise_is_refused(packing: str) -> None:
    twice = gzip.compress(gzip.compress(b" " * MAX_BYTES, compresslevel=1), compresslevel=1)
    with serving(sends(twice, Content_Encoding=packing)) as server, pytest.raises(PriceError, match="packed") as caught:
        fetch(server.url, patience=HASTY)
    assert server.url in caught.value.message


def test_an_answer_is_asked_for_as_it_is() -> None:
    with serving(sends(b"{}")) as server:
        fetch(server.url, patience=HASTY)
        assert server.asked[0].headers["Accept-Encoding"] == "identity"


def test_headers_that_drip_are_given_up_at_the_deadline() -> None:
    def drip(request: BaseHTTPRequestHandler) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: " + b"x" * 100:
            request.wfile.write(bytes((byte,)))
            time.sleep(0.05)

    began = time.monotonic()
    with serving(drip) as server:
        with pytest.raises(PriceError, match="the answer takes too long"):
            fetch(server.url, patience=Patience(total=0.3, pause=0, attempts=3))
        assert time.monotonic() - began < 5  # of 7 that one answer would take


def test_the_body_of_a_redirect_is_not_read() -> None:
    sent = []

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", "/elsewhere.json")
        request.end_headers()
        for _ in range(1024):
            request.wfile.write(b" " * MIB)
            sent.append(MIB)

    with serving(endless, sends(b"{}")) as server:
        assert fetch(server.url, patience=HASTY).content == b"{}"
    assert sum(sent) < MAX_BYTES


@pytest.mark.parametrize(
    "name", ["latest", "as-of", "Latest", "2025-06-01", "20250601", "2025-06-01T10:00", "a/b", "..", ""]
)
def test_a_name_that_means_something_else_is_refused(name: str) -> None:
    with pytest.raises(PriceError, match="cannot name a price version"):
        add_checked(as_json(models(20)), name=name, effective_from=1, source="test", force=True)


def test_a_name_that_is_taken_is_refused() -> None:
    taken = load_catalog().newest.name
    with pytest.raises(PriceError, match="already"):
        add_checked(as_json(models(20)), name=taken, effective_from=1, source="test", force=True)


def test_a_redirect_is_followed() -> None:
    with serving(sends(b"", status=302, Location="/elsewhere.json"), sends(b"{}")) as server:
        assert fetch(server.url, patience=HASTY).content == b"{}"
        assert [request.path for request in server.asked] == ["/map.json", "/elsewhere.json"]


def test_redirects_in_a_circle_end() -> None:
    with serving(sends(b"", status=302, Location="/map.json")) as server, pytest.raises(PriceError, match="redirects"):
        fetch(server.url, patience=HASTY)


def test_proxy_settings_are_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(sends(b"{}")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.address)
        assert fetch("http://prices.invalid/map.json", patience=HASTY).content == b"{}"
        assert [request.path for request in proxy.asked] == ["http://prices.invalid/map.json"]


def test_offline_is_one_clear_error_and_pricing_goes_on() -> None:
    with serving(sends(b"")) as server:
        pass  # it no longer listens
    with pytest.raises(PriceError, match=r"cannot fetch http://127\.0\.0\.1") as caught:
        pull_map(server.url, patience=HASTY)
    assert "callcost prices add" in caught.value.hint
    assert load_catalog().entry("model-1", load_catalog().newest)


@pytest.mark.parametrize("url", ["file:///etc/hosts", "map.json", "ftp://127.0.0.1/x", "http://a:b", "", "http://"])
def test_what_is_no_web_address_is_a_price_error(url: str) -> None:
    with pytest.raises(PriceError, match="is no address of a cost map"):
        fetch(url, patience=HASTY)


def test_secrets_of_an_address_are_kept_nowhere() -> None:
    def secret(server: Server) -> str:
        return server.url.replace("http://", "http://me:hush@") + "?token=hush#hush"

    with serving(sends(b"", status=404)) as server:
        with pytest.raises(PriceError) as caught:
            pull_map(secret(server), patience=HASTY)
        assert "hush" not in str(caught.value)
    with serving(sends(as_json(models(21)), ETag='"one"')) as server:
        pull_map(secret(server), patience=HASTY)
        assert server.asked[0].path == "/map.json?token=hush"
    assert load_catalog().newest.source == server.url
    assert not [path for path in user_prices().iterdir() if b"hush" in path.read_bytes()]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
def test_a_certificate_that_nobody_signed_is_refused(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*words, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with (
        serving(sends(b"{}"), tls=context) as server,
        pytest.raises(PriceError, match=r"(?i)certificate.verify.failed"),
    ):
        fetch(server.url.replace("http:", "https:"), patience=HASTY)
    assert not server.asked


def test_a_given_map_is_checked_against_the_version_of_its_date() -> None:
    add_checked(as_json(models(22)), name="later", effective_from=microseconds("2026-01-01"), source="file")
    added = add_checked(as_json(models(21)), name="between", effective_from=microseconds("2025-06-01"), source="file")
    assert added.findings is not None
    assert added.findings.change.dropped == []
    earliest = add_checked(as_json(models(2)), name="earliest", effective_from=0, source="file")
    assert earliest.findings is not None
    assert earliest.findings.refusals == []
    assert [version.name for version in load_catalog().versions] == ["earliest", "first", "between", "later"]
    sizes = load_catalog().sizes()
    assert sizes == [2, 20, 21, 22]


def test_two_additions_at_once_both_arrive() -> None:
    def pull(number: int) -> None:
        moment = microseconds(f"2026-01-0{number}")
        while f"v{number}" not in {version.name for version in load_catalog().versions}:
            with contextlib.suppress(PriceError):  # another one is adding just now
                add_checked(as_json(models(20 + number)), name=f"v{number}", effective_from=moment, source="")

    threads = [threading.Thread(target=pull, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [version.name for version in load_catalog().versions] == ["first", "v1", "v2", "v3"]
    assert load_catalog().sizes() == [20, 21, 22, 23]
