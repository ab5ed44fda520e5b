"""A real HTTP server on 127.0.0.1 that speaks the wire format of ``/v1/messages``.

What it answers is a script: a function of the request, or replies in a row (the last one stays).
Nothing is mocked: the SDK, its transport and its retries are the real ones.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

MODEL = "test-model"
KEY = "sk-ant-loopback-4f7c2e91d0"


@dataclass(frozen=True)
class Reply:
    """One HTTP answer. `cut`: bytes of the body after which the connection is reset."""

    body: Any  # bytes as they are; anything else as JSON
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    delay: float = 0.0  # seconds before anything is sent


Script = Callable[[dict[str, Any]], Reply] | Iterable[Reply]

# --------------------------------------------------------------------------------------- replies


def text(said: str) -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": said}


def thinking(thought: str) -> dict[str, Any]:
    """A block of reasoning."""
    return {"type": "thinking", "thinking": thought, "signature": "c2lnbmVk"}


def tool_use(name: str, given: Any, serial: str = "toolu_01") -> dict[str, Any]:
    """A block that calls a tool."""
    return {"type": "tool_use", "id": serial, "name": name, "input": given}


def message(*blocks: Any, stop: str | None = None, model: Any = MODEL, **more: Any) -> Reply:
    """A model's answer; it stops as its last block suggests, unless `stop` says otherwise."""
    called = any(isinstance(b, dict) and b.get("type") == "tool_use" for b in blocks)
    body = {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": list(blocks),
        "stop_reason": stop or ("tool_use" if called else "end_turn"),
        "stop_sequence": None,
        "usage": {"input_tokens": 100, "output_tokens": 10, "cache_read_input_tokens": 5},
    }
    return Reply(body | more)


def error(status: int, said: str = "no", **headers: str) -> Reply:
    """An error as the API words it; ``retry_after_ms="1"`` keeps the SDK from waiting long."""
    body = {"type": "error", "error": {"type": "some_error", "message": said}}
    return Reply(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


# ---------------------------------------------------------------------------------------- server


class Loopback:
    """The server, running within ``with``; `requests` and `headers` are what came in, in order."""

    def __init__(self, script: Script) -> None:
        if callable(script):
            self._answer = script
        else:
            replies = list(script)
            self._answer = lambda _: replies.pop(0) if len(replies) > 1 else replies[0]
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self._lock = threading.Lock()
        loopback = self

        class Handler(_Handler):
            server_side = loopback

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()  # waits for the connections, which the client has closed

    def reply(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """The script's reply to one request."""
        if path != "/v1/messages":
            return error(404, f"no {path} here")
        with self._lock:
            request = json.loads(body)
            self.requests.append(request)
            self.headers.append(headers)
            return self._answer(request)


class _Server(ThreadingHTTPServer):
    request_queue_size = 1024  # of five, the sixth to connect at once would wait a second


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept
    disable_nagle_algorithm = True
    server_side: Loopback

    def do_POST(self) -> None:
        """Answer one request."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server_side.reply(self.path, headers, body)
        time.sleep(reply.delay)
        sent = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        kind = {"content-type": "application/json", "content-length": str(len(sent))}
        lines = [f"{name}: {value}\r\n" for name, value in (kind | dict(reply.headers)).items()]
        head = f"HTTP/1.1 {reply.status} Scripted\r\n{''.join(lines)}\r\n".encode()
        try:
            self.wfile.write(head + sent[: reply.cut])
        except OSError:
            self.close_connection = True  # a client may be gone by now
        if reply.cut is not None:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    do_GET = do_POST  # a request without a body

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""
