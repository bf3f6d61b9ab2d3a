"""A web server on loopback that answers as a test tells it to."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers each request with the next reply, the last one again and again, and remembers what was asked."""

    def __init__(self, address: str, replies: list[Reply]) -> None:
        self.address = address
        self.url = f"{address}/map.json"
        self.replies = replies
        self.asked: list[BaseHTTPRequestHandler] = []

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer the next request."""
        self.asked.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        with contextlib.suppress(ConnectionError):  # the client left: some tests are about that
            reply(request)


@contextlib.contextmanager
def serving(*replies: Reply, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve the replies while the block runs, over TLS if asked."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.daemon_threads = True
        if tls is not None:
            listener.socket = tls.wrap_socket(listener.socket, server_side=True)
        server = Server(f"http://127.0.0.1:{listener.server_address[1]}", list(replies))
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()


def sends(body: bytes, *, status: int = 200, stated: int | None = None, **headers: str) -> Reply:
    """Return a reply of one body; `stated` is what Content-Length says."""

    def reply(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body) if stated is None else stated))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return reply


def streams(part: bytes, times: int, between: Callable[[], object] = lambda: None) -> Reply:
    """Return a reply that sends a part many times and never says how long it will be."""

    def reply(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        for _ in range(times):
            request.wfile.write(part)
            between()

    return reply
