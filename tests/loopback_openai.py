"""The loopback server, speaking ``/v1/chat/completions`` and, as far as needed, ``/v1/responses``.

The server, its replies and its scripts are those of `tests.loopback`; only the words differ.
"""

import json
from typing import Any

from tests.loopback import MODEL, Loopback, Reply
from tests.loopback import error as messages_error


class Completions(Loopback):
    """A server that OpenAI's SDK can talk to; `base_url` is what the SDK is given."""

    @property
    def base_url(self) -> str:
        """The part before ``/chat/completions``."""
        return f"{self.url}/v1"

    def reply(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        """The script's reply to one request."""
        if path not in ("/v1/chat/completions", "/v1/responses"):
            return error(404, f"no {path} here")
        with self._lock:
            request = json.loads(body)
            self.requests.append(request)
            self.headers.append(headers)
            return self._answer(request)


def call(name: str, given: Any, serial: str = "call_01") -> dict[str, Any]:
    """A call of a tool; a string is sent as it is, anything else as JSON."""
    written = given if isinstance(given, str) else json.dumps(given)
    return {"id": serial, "type": "function", "function": {"name": name, "arguments": written}}


def completion(
    said: Any = "", *calls: Any, finish: str | None = None, model: Any = MODEL, **more: Any
) -> Reply:
    """A model's answer; `more` goes into its message."""
    message = {"role": "assistant", "content": said, **more}
    if calls:
        message["tool_calls"] = list(calls)
    stop = finish or ("tool_calls" if calls else "stop")
    body = {
        "id": "chatcmpl-01",
        "object": "chat.completion",
        "created": 1_780_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": stop}],
        "usage": {
            "prompt_tokens": 105,
            "completion_tokens": 10,
            "total_tokens": 115,
            "prompt_tokens_details": {"cached_tokens": 5},
        },
    }
    return Reply(body)


def said(text: str) -> dict[str, Any]:
    """A message, among the output of a `response`."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {
        "type": "message",
        "id": "msg_01",
        "role": "assistant",
        "status": "completed",
        "content": content,
    }


def response(*output: dict[str, Any], model: str = MODEL) -> Reply:
    """An answer of ``/v1/responses``."""
    body = {
        "id": "resp_01",
        "object": "response",
        "created_at": 1_780_000_000,
        "model": model,
        "status": "completed",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 105,
            "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 0},
            "output_tokens": 10,
            "output_tokens_details": {"reasoning_tokens": 4},
            "total_tokens": 115,
        },
    }
    return Reply(body)


def error(status: int, said: str = "no", **headers: str) -> Reply:
    """An error as the API words it; ``retry_after_ms="1"`` keeps a client from waiting long."""
    made = messages_error(status, **headers)
    return Reply({"error": {"message": said, "type": "some_error"}}, status, made.headers)


# ------------------------------------------------------------------------------------ translation


def as_messages(request: dict[str, Any]) -> dict[str, Any]:
    """A request as ``/v1/messages`` would have it, for a script that knows that format."""
    system = [m["content"] for m in request["messages"] if m["role"] == "system"]
    tools = [tool["function"] for tool in request.get("tools", ())]
    return {
        "system": "\n\n".join(system),
        "messages": [m for m in request["messages"] if m["role"] != "system"],
        "tools": [
            {"name": t["name"], "description": t["description"], "input_schema": t["parameters"]}
            for t in tools
        ],
    }


def as_completion(reply: Reply) -> Reply:
    """An answer of such a script."""
    blocks = reply.body["content"]
    said = "\n\n".join(block["text"] for block in blocks if block["type"] == "text")
    calls = [
        call(block["name"], block["input"], block["id"])
        for block in blocks
        if block["type"] == "tool_use"
    ]
    return completion(said, *calls)
