"""Messages and tools as chat trainers have them, and back."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from fuzzer.augment.rows import Said, ToolCall


def text(value: Any) -> str:
    """A value as JSON text: what keeps the keys of one row out of the next one's."""
    return orjson.dumps(value).decode()


def function(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool of the Messages API as a function object."""
    rest = {key: value for key, value in tool.items() if key not in _KNOWN}
    about = {"name": tool["name"], "description": tool.get("description", "")}
    return {
        "type": "function",
        "function": {**about, "parameters": tool.get("input_schema", _NOTHING), **rest},
    }


_KNOWN = frozenset(("name", "description", "input_schema"))
_NOTHING: dict[str, Any] = {"type": "object", "properties": {}}


def tool_of(function: Mapping[str, Any]) -> dict[str, Any]:
    """A function object as a tool of the Messages API.

    >>> tool_of(function({"name": "a", "description": "", "input_schema": {"type": "object"}}))
    {'name': 'a', 'description': '', 'input_schema': {'type': 'object'}}
    """
    inner = dict(function["function"])
    parameters = inner.pop("parameters")
    first = {key: inner.pop(key) for key in ("name", "description")}
    return {**first, "input_schema": parameters, **inner}


def tools_text(tools: Iterable[Mapping[str, Any]]) -> str:
    """Tools as function objects, as JSON text."""
    return text([function(tool) for tool in tools])


def messages(said: Iterable[Said], *, named: bool = True) -> list[dict[str, Any]]:
    """Messages with only the keys they need, arguments as JSON text.

    With `named` a tool's answer names the tool, which some chat templates want.
    """
    made: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for one in said:
        message: dict[str, Any] = {"role": one.role, "content": one.content}
        if one.tool_calls:
            message["tool_calls"] = [_call(call) for call in one.tool_calls]
            names |= {call.id: call.name for call in one.tool_calls}
        if one.role == "tool":
            message["tool_call_id"] = one.tool_call_id
            if named:
                message["name"] = names.get(one.tool_call_id, "")
        made.append(message)
    return made


def _call(call: ToolCall) -> dict[str, Any]:
    inner = {"name": call.name, "arguments": text(call.arguments)}
    return {"id": call.id, "type": "function", "function": inner}


def said_of(messages: Iterable[Mapping[str, Any]]) -> tuple[Said, ...]:
    """Messages of a chat as rows have them: with arguments as text or as objects, nulls or not.

    Unlike what a file holds, what a model wrote may be anything: arguments that are no object
    stand under ``input``, so that they can be judged like any other attempt.
    """
    return tuple(
        Said(
            role=message["role"],
            content=_content(message.get("content")),
            tool_calls=tuple(_read(call) for call in message.get("tool_calls") or ()),
            tool_call_id=message.get("tool_call_id") or "",
        )
        for message in messages
    )


def _content(given: Any) -> str:
    """What is said: text, or the text among the parts; anything else as JSON."""
    if given is None or isinstance(given, str):
        return given or ""
    if isinstance(given, list) and all(isinstance(part, Mapping) for part in given):
        return "\n".join(str(part["text"]) for part in given if "text" in part)
    return text(given)


def _read(call: Mapping[str, Any]) -> ToolCall:
    inner = call.get("function") or call
    return ToolCall(
        id=call.get("id") or "", name=inner["name"], arguments=arguments(inner.get("arguments"))
    )


def arguments(given: Any) -> dict[str, Any]:
    """The arguments of a call as an object.

    >>> arguments('{"to": "a"}'), arguments({"to": "a"}), arguments('{"to'), arguments(None)
    ({'to': 'a'}, {'to': 'a'}, {'input': '{"to'}, {})
    """
    if given is None or given == "":
        return {}
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            return {"input": given}
    return dict(given) if isinstance(given, Mapping) else {"input": given}
