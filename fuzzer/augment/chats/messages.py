"""Messages of a chat, in the dialects in which they are stored, as `Said`.

OpenAI's (`role`, `content`, `tool_calls`), ShareGPT's (`from`, `value`), Anthropic's (blocks of
content), and the old text with "Human:" and "Assistant:" in it. What a user said is never touched.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import orjson

from fuzzer.augment.rows import Said, ToolCall

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "ipython": "tool",
    "tool_response": "tool",
    "function_call": "call",
    "tool_call": "call",
}
_TEXTS = ("text", "input_text", "output_text")
_READ = frozenset(
    ("role", "from", "content", "value", "tool_calls", "function_call", "tool_call_id")
)
_TURN = re.compile(r"\n\n(Human|Assistant): ?")


class Misfit(ValueError):
    """A row is not of the shape it should have; says what is wrong, without the line number."""


class Told(NamedTuple):
    """Messages, and fields of theirs that have no place in `Said`, by the message's number."""

    said: list[Said]
    aside: dict[str, dict[str, Any]]


def read_messages(value: Any, column: str) -> Told:
    """A list of messages as a dataset has it. Raises `Misfit`."""
    if not isinstance(value, list) or not value:
        raise Misfit(f"has {_short(value)} in {column!r}, where messages should be")
    said: list[Said] = []
    aside: dict[str, dict[str, Any]] = {}
    for number, message in enumerate(value):
        if not isinstance(message, dict):
            raise Misfit(f"has {_short(message)} for message {number} of {column!r}")
        try:
            said += _read(message, said)
        except Misfit as misfit:
            raise Misfit(f"in message {number} of {column!r} {misfit}") from None
        tool = said[-1].role == "tool"
        more = {
            key: field
            for key, field in message.items()
            if key not in _READ and field is not None and not (tool and key == "name")
        }
        if more:
            aside[str(number)] = more
    return Told(said, aside)


def _read(message: Mapping[str, Any], before: Sequence[Said]) -> list[Said]:
    named = message.get("role") or message.get("from")
    role = _ROLES.get(named) if isinstance(named, str) else None
    if role is None:
        raise Misfit(f"has an unknown role, {_short(named)}; known are {', '.join(_ROLES)}")
    content = message["content"] if "content" in message else message.get("value")
    if role == "call":
        calls = _calls(_json(content, "function call"), len(before))
        return [Said.of(role="assistant", tool_calls=calls)]
    if role == "tool":
        answered = message.get("tool_call_id") or _unanswered(before)
        return [Said.of(role="tool", content=text_of(content), tool_call_id=str(answered))]
    if isinstance(content, list) and any(
        isinstance(part, dict) and part.get("type") in ("tool_use", "tool_result")
        for part in content
    ):
        return _blocks(role, content)
    called = message.get("tool_calls") or message.get("function_call")
    calls = _calls(called, len(before)) if called else ()
    if content is None and calls:
        content = ""
    return [Said.of(role=role, content=text_of(content), tool_calls=calls)]


def text_of(content: Any) -> str:
    """The text of a content: as it is, or of its parts joined without anything between them."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Misfit(f"has {_short(content)} where its text should be")
    return "".join(map(_part, content))


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _TEXTS and isinstance(part.get("text"), str):
        text: str = part["text"]
        return text
    raise Misfit(f"holds a part of type {_short(kind)}; only text and tool calls can be carried")


def _blocks(role: str, content: Sequence[Any]) -> list[Said]:
    """The blocks of an Anthropic message: answers of tools first, then what is said."""
    answers: list[Said] = []
    texts: list[str] = []
    calls: list[ToolCall] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "tool_use" and role == "assistant":
            calls.append(_call(part.get("id"), part.get("name"), part.get("input"), len(calls)))
        elif kind == "tool_result" and role == "user":
            answer = text_of(part.get("content") or "")
            said = Said.of(role="tool", content=answer, tool_call_id=str(part.get("tool_use_id")))
            answers.append(said)
        else:
            texts.append(_part(part))
    if answers and not texts:
        return answers
    return [*answers, Said.of(role=role, content="".join(texts), tool_calls=tuple(calls))]


def _calls(given: Any, before: int) -> tuple[ToolCall, ...]:
    calls = given if isinstance(given, list) else [given]
    found = []
    for number, call in enumerate(calls):
        if not isinstance(call, dict):
            raise Misfit(f"has {_short(call)} where a tool call should be")
        inner = call.get("function") if isinstance(call.get("function"), dict) else call
        assert isinstance(inner, dict)
        arguments = inner.get("arguments")
        found.append(_call(call.get("id"), inner.get("name"), arguments, 100 * before + number))
    return tuple(found)


def _call(given: Any, name: Any, arguments: Any, number: int) -> ToolCall:
    if not isinstance(name, str) or not name:
        raise Misfit("has a tool call without a name")
    if isinstance(arguments, str):
        arguments = _json(arguments or "{}", "tool call's arguments")
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise Misfit(f"calls {_short(name)} with arguments that are no object")
    identity = given if isinstance(given, str) and given else f"call_{number}"
    return ToolCall.of(id=identity, name=name, arguments=arguments)


def _unanswered(before: Sequence[Said]) -> str:
    """The first call that no tool has answered yet."""
    answered = {said.tool_call_id for said in before if said.role == "tool"}
    calls = (call.id for said in before for call in said.tool_calls)
    return next((identity for identity in calls if identity not in answered), "")


def read_text(text: str) -> list[Said]:
    r"""The turns of a text with "\n\nHuman:" and "\n\nAssistant:" in it.

    One space after the colon belongs to the mark, all else to the turn. An assistant's turn that is
    still to be written is left out. Raises `Misfit`.

    >>> [(said.role, said.content) for said in read_text("\n\nHuman: Hi \n\n\nAssistant:")]
    [('user', 'Hi \n')]
    """
    pieces = _TURN.split(text)
    if pieces[0] or len(pieces) < 3:
        raise Misfit('does not begin with "\\n\\nHuman:"')
    said = [
        Said.of(role="user" if who == "Human" else "assistant", content=turn)
        for who, turn in zip(pieces[1::2], pieces[2::2], strict=True)
    ]
    return said[:-1] if said[-1].role == "assistant" and not said[-1].content else said


def is_turns(value: Any) -> bool:
    """Whether a value is a text with turns in it."""
    return isinstance(value, str) and value.startswith("\n\nHuman:")


def read_tools(value: Any) -> tuple[dict[str, Any], ...]:
    """Tool definitions, from OpenAI's form or Anthropic's, as the Messages API has them."""
    if isinstance(value, str) and value.strip():
        value = _json(value, "column of tools")
    if not value:
        return ()
    if not isinstance(value, list):
        raise Misfit("has tools that are no list")
    return tuple(map(_tool, value))


def _tool(given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        given = _json(given, "tool definition")
    inner = given.get("function", given) if isinstance(given, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
        raise Misfit("has a tool definition without a name")
    known = ("name", "description", "parameters", "input_schema", "type")
    schema = inner.get("input_schema") or inner.get("parameters") or {"type": "object"}
    told: dict[str, Any] = {"name": inner["name"], "description": inner.get("description") or ""}
    return told | {"input_schema": schema} | {k: v for k, v in inner.items() if k not in known}


def _json(text: Any, what: str) -> Any:
    """What a text of JSON holds; anything else as it is."""
    if not isinstance(text, str):
        return text
    try:
        return parsed(text)
    except Misfit as misfit:
        raise Misfit(f"has a {what} that {misfit}") from None


def parsed(text: str) -> Any:
    """What JSON says, if every export can say it too. Raises `Misfit`.

    What no export can hold is named, never changed: NaN and infinity, integers beyond 64 bits,
    halves of surrogate pairs (no UTF-8 has them), nesting deeper than 250 levels.
    """
    try:
        value = json.loads(text, parse_constant=_no_number, parse_float=_number)
        orjson.dumps(value)
    except RecursionError:
        raise Misfit("is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise Misfit(f"is no JSON ({error.msg.lower()} at character {error.pos + 1})") from None
    except TypeError as error:
        raise Misfit(_UNTOLD.get(str(error).split()[0], "holds what no export can")) from None
    except ValueError as error:
        if isinstance(error, Misfit):
            raise
        raise Misfit("holds a number of thousands of digits") from None
    return value


# What `orjson` cannot write, by the first word of what it says.
_UNTOLD = {
    "str": "holds half a surrogate pair (\\ud800 to \\udfff by itself), which no UTF-8 has",
    "Integer": "holds an integer beyond 64 bits, which would lose digits",
    "Recursion": "is nested too deeply",
}


def _no_number(name: str) -> NoReturn:
    raise Misfit(f"holds {name}, which is no JSON")


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise Misfit(f"holds {text[:20]}, which is beyond a double")
    return number


def _short(value: Any) -> str:
    shown = ascii(value)  # whatever it holds, a terminal shows it as it is
    return shown if len(shown) <= 40 else f"{shown[:40]}…"
