"""A Messages server with next to nothing in it, so that what is measured is its clients.

A conversation has two generations: a call of the tool that sends a message, as the request offers
it and in its channel, then an answer that ends. Latency is fixed or jittered (0.5 to 1.5 times,
seeded). It runs in a process of its own: ``with serving(latency) as url``.
"""

import argparse
import asyncio
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from random import Random
from typing import Any

import orjson

from fuzzer.recovery import can_send
from fuzzer.tools import read_described, read_native

WORDS = "Noted, thank you; the figures are filed and nothing else is open. " * 8
_TO = re.compile(
    r"\b(to|recip|addr|dest|target|whom|receiv|contact|assignee|member|sendto|e-?mail)"
)
_FORWARDS = re.compile(r"(?i)forward|resend|pass\w* .{0,40}\bon\b|share|existing|transfer")
_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")


def _reply(model: str, content: list[dict[str, Any]], stop: str) -> bytes:
    body = orjson.dumps(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": {"input_tokens": 3000, "output_tokens": 150},
        }
    )
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


def _value(path: str, kind: str, about: str) -> Any:
    """Something that a required parameter may hold."""
    last = re.sub(r"[_.-]|(?<=[a-z])(?=[A-Z])", " ", path.rsplit(".", 1)[-1]).lower()
    plain: dict[str, Any] = {"integer": 1, "number": 1, "boolean": False}
    if kind in plain:
        return plain[kind]
    text = "a.reader@example.org" if _TO.search(last) or "recipient" in about.lower() else WORDS
    return [text] if kind == "array" else text


def _filled(schema: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found = {}
    for name in schema.get("required", ()):
        child = schema["properties"][name]
        path = f"{prefix}{name}"
        if child.get("type") == "object":
            found[name] = _filled(child, f"{path}.")
        elif "enum" in child:
            found[name] = child["enum"][0]
        else:
            found[name] = _value(path, child.get("type", "string"), child.get("description", ""))
    return found


def _xml(given: dict[str, Any]) -> str:
    return "".join(
        f"<{name}>{_xml(said) if isinstance(said, dict) else said}</{name}>"
        for name, said in given.items()
    )


def _described_in_xml(block: str) -> dict[str, Any]:
    """Arguments for a tool that a system prompt describes as XML."""
    given: dict[str, Any] = {}
    for path, kind in re.findall(r'<param name="([^"]*)" required="yes">(\w+)', block):
        *before, last = path.split(".")
        node = given
        for part in before:
            node = node.setdefault(part, {})
        node[last] = _value(path, "string" if kind == "array" else kind, "")
    return given


def _sends(leaves: Mapping[str, str], about: str) -> bool:
    return can_send(tuple(leaves.items())) and not _FORWARDS.search(about)


def first(request: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Blocks and stop reason of a first generation: the sending tool is called."""
    for tool in request.get("tools") or ():
        if _sends(read_native(tool)["leaves"], tool["description"]):
            call = {"type": "tool_use", "id": "toolu_1", "name": tool["name"]}
            block = call | {"input": _filled(tool["input_schema"])}
            return [{"type": "text", "text": "Let me reply."}, block], "tool_use"
    return [{"type": "text", "text": _written(request.get("system") or "")}], "end_turn"


def _written(system: Any) -> str:
    """The same in a channel of text."""
    text = system if isinstance(system, str) else "".join(part["text"] for part in system)
    for line in text.splitlines():
        if line.startswith('{"name":') and _sends(
            read_native(tool := orjson.loads(line))["leaves"], tool["description"]
        ):
            given = {"tool": tool["name"], "arguments": _filled(tool["input_schema"])}
            return f"```json\n{orjson.dumps(given).decode()}\n```"
    for told in read_described(text, "xml"):
        name = told["name"]
        if _sends(told["leaves"], told["description"]):
            block = text[text.index(f'<tool name="{name}">') :].split("</tool>")[0]
            return f'<call tool="{name}">{_xml(_described_in_xml(block))}</call>'
    return WORDS


def answer(body: bytes) -> bytes:
    """The whole HTTP response to a request."""
    request = orjson.loads(body)
    if any(isinstance(m["content"], list) for m in request["messages"][:-1]):
        return _reply(request["model"], [{"type": "text", "text": WORDS}], "end_turn")
    return _reply(request["model"], *first(request))


class _Connection(asyncio.Protocol):
    def __init__(self, latency: Callable[[], float]) -> None:
        self._latency = latency
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        came = loop.time()  # its latency counts from here, whatever an answer takes to make
        buffer = self._buffer
        buffer += data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(buffer, 0, end)
            size = int(length[1]) if length else 0
            if len(buffer) < end + 4 + size:
                return
            said = answer(bytes(buffer[end + 4 : end + 4 + size]))
            del buffer[: end + 4 + size]
            if wait := self._latency():
                loop.call_at(came + wait, self._transport.write, said)
            else:
                self._transport.write(said)


async def _serve(latency: float, jitter: bool) -> None:
    rng = Random(0)
    wait = (lambda: latency * rng.uniform(0.5, 1.5)) if jitter else (lambda: latency)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(wait), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # until whoever started it is gone


@contextmanager
def serving(latency: float = 0.0, *, jitter: bool = False) -> Iterator[str]:
    """The URL of a server in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.server", f"--latency={latency}"]
    with subprocess.Popen(
        command + ["--jitter"] * jitter, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.stdin.close()


def main(argv: list[str] | None = None) -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(prog="benchmarks.server", description=__doc__)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--jitter", action="store_true")
    options = parser.parse_args(argv)
    asyncio.run(_serve(options.latency, options.jitter))


if __name__ == "__main__":
    main()
