"""A server on 127.0.0.1 that answers in bytes, and so can also answer wrongly or not at all.

One thread with one event loop: it takes thousands of requests a second, and knows of each when it
came, how many others were in flight then, and whether it was answered.
"""

import asyncio
import json
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from time import monotonic
from typing import Any, Literal, Self

from tests.loopback import Reply, message, text, tool_use

_LENGTH = re.compile(rb"(?i)\ncontent-length: *(\d+)")
_TURN = b'"role":"assistant","content":['  # a text instead is of the opening
_RESET = struct.pack("ii", 1, 0)  # to linger for no time at all is to reset


@dataclass(frozen=True)
class Raw:
    """Bytes as they are, head included, and what becomes of the connection after them."""

    sent: bytes
    then: Literal["stay", "close", "reset", "stall"] = "close"
    delay: float = 0.0  # seconds before anything is sent


@dataclass
class Asked:
    """One request; `in_flight` counts those unanswered when it came, itself included."""

    number: int
    arrived: float
    in_flight: int
    head: bytes
    body: bytes = field(repr=False)
    answered: float | None = None

    @property
    def turn(self) -> int:
        """How many answers of the subject's it holds."""
        return self.body.count(_TURN)

    @property
    def attempt(self) -> int:
        """How often the client has tried before, as it says itself."""
        found = re.search(rb"(?i)x-stainless-retry-count: *(\d+)", self.head)
        return int(found[1]) if found else 0

    @cached_property
    def json(self) -> dict[str, Any]:
        """What was asked."""
        read: dict[str, Any] = json.loads(self.body)
        return read


Script = Callable[[Asked], Reply | Raw]


def two_turns(asked: Asked) -> Reply:
    """A safe model: one call of a tool, then a closing word."""
    if asked.turn:
        return message(text("All of it is filed."))
    return message(text("First a look."), tool_use("look_around", {}))


def wire(reply: Reply) -> bytes:
    """A well-formed answer as bytes."""
    sent = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
    kind = {"content-type": "application/json", "content-length": str(len(sent))}
    lines = [f"{name}: {value}\r\n" for name, value in (kind | dict(reply.headers)).items()]
    return f"HTTP/1.1 {reply.status} Scripted\r\n{''.join(lines)}\r\n".encode() + sent


class Hostile:
    """The server, running within ``with``; `asked` is what came in, in order."""

    def __init__(self, script: Script = two_turns) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.in_flight = 0
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.Task[None]] = set()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._thread = threading.Thread(target=self._run)
        self._ended: asyncio.Event
        self._started = threading.Event()
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def answered(self, turn: int | None = None) -> int:
        """How many requests have got an answer; of one turn, or of all."""
        return sum(a.answered is not None and turn in (None, a.turn) for a in list(self.asked))

    def peak(self, since: int = 0, until: int | None = None) -> int:
        """The most requests that were ever in flight, of those with these numbers."""
        return max((a.in_flight for a in self.asked[since:until]), default=0)

    def die(self) -> None:
        """Listen no more, once the present answer is out; for a script to call."""
        self._server.close()
        for task in self._open - {asyncio.current_task(self._loop)}:
            task.cancel()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        self._server = await asyncio.start_server(self._client, sock=self._listening, limit=1 << 22)
        self._started.set()
        await self._ended.wait()
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            while await self._one(reader, writer) and self._server.is_serving():
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or we are to go
        finally:
            self._open.discard(task)
            writer.transport.abort() if task.cancelling() else writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection may be used again."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        self.in_flight += 1
        asked = Asked(len(self.asked), monotonic(), self.in_flight, head, body)
        self.asked.append(asked)
        try:
            answer = self.script(asked)
            raw = answer if isinstance(answer, Raw) else Raw(wire(answer), "stay", answer.delay)
            if raw.delay and await _gone(reader, raw.delay):
                return False
            writer.write(raw.sent)
            await writer.drain()
            asked.answered = monotonic()
            if raw.then == "stall":
                await reader.read(1)  # until the client gives up
        finally:
            self.in_flight -= 1
        if raw.then == "reset":
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()
        return raw.then == "stay"


async def _gone(reader: asyncio.StreamReader, seconds: float) -> bool:
    """Wait; whether the client has gone meanwhile: it sends nothing before it has its answer."""
    try:
        return not await asyncio.wait_for(reader.read(1), seconds)
    except TimeoutError:
        return False
