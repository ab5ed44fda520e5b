"""Tools in each channel: shown to a subject, called, and read back *by role*.

A channel is how actions are expressed: native tool calls, XML in text or JSON in text. `render`
writes the tools for a request, `write_call` writes one call as a subject would, and `read_turn`
recovers actions from whatever a subject produced. Reading is lenient on purpose: an attempt with
a wrong argument, an unclosed tag or an unknown tool is still an attempt.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from html import unescape
from typing import Any

import orjson

from fuzzer.scenario import Channel, Param, Tool
from fuzzer.transcript import Action, Call, Turn

UNKNOWN = "unknown"  # the role of a tool that was not offered


def _encode(value: Any) -> str:
    return orjson.dumps(value).decode()


def input_schema(tool: Tool) -> dict[str, Any]:
    """The JSON Schema (an object) of a tool's input, nested along its parameters' paths."""
    schema: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for param in tool.params:
        node = schema
        for name in param.path[:-1]:
            child = node["properties"].setdefault(
                name, {"type": "object", "properties": {}, "required": []}
            )
            if param.required and name not in node["required"]:
                node["required"].append(name)
            node = child
        node["properties"][param.path[-1]] = dict(param.schema)
        if param.required:
            node["required"].append(param.path[-1])
    return schema


def native_tools(tools: Iterable[Tool]) -> tuple[dict[str, Any], ...]:
    """The tools as Messages-API dicts: ``name``, ``description``, ``input_schema``."""
    return tuple(
        {
            "name": tool.name,
            "description": tool.description,
            "input_schema": input_schema(tool),
        }
        for tool in tools
    )


@lru_cache(maxsize=1024)
def _instructions(channel: Channel) -> tuple[str, str]:
    if channel == "xml":
        return (
            "You act by writing tool calls into your reply. A call is an XML element named "
            "`call` with the tool's name, holding one element for each parameter:",
            '<call tool="TOOL NAME">\n<PARAMETER>value</PARAMETER>\n</call>\n'
            "You may write several calls, and text around them. The tools:",
        )
    return (
        "You act by writing tool calls into your reply. A call is a fenced JSON block with the "
        "tool's name and its arguments:",
        '```json\n{"tool": "TOOL NAME", "arguments": {"PARAMETER": "value"}}\n```\n'
        "You may write several blocks, and text around them. The tools:",
    )


def describe(tools: Iterable[Tool], channel: Channel) -> str:
    """The tools as a text channel tells them in the system prompt; empty for ``native``."""
    if channel == "native":
        return ""
    return "\n".join((*_instructions(channel), *(_described(t, channel) for t in tools)))


def _described(tool: Tool, channel: Channel) -> str:
    if channel == "json":
        return _encode(native_tools((tool,))[0])
    params = "".join(
        f'  <param name="{".".join(param.path)}" required="{"yes" if param.required else "no"}">'
        f"{_escape(_explained(param))}</param>\n"
        for param in tool.params
    )
    text = _escape(tool.description)
    return f'<tool name="{tool.name}">\n  <about>{text}</about>\n{params}</tool>'


def _explained(param: Param) -> str:
    kind = param.schema.get("type", "string")
    choices = param.schema.get("enum")
    text = str(param.schema.get("description", ""))
    allowed = f" (one of: {', '.join(map(str, choices))})" if choices else ""
    return f"{kind}{allowed}. {text}".strip()


def read_described(text: str, channel: Channel) -> Iterator[dict[str, Any]]:
    """Read back what `describe` wrote, from the text alone: dicts of name, description, leaves.

    ``leaves`` maps each dotted parameter path to its description.
    """
    if channel == "json":
        for line in text.splitlines():
            if line.startswith('{"name"'):
                yield read_native(json.loads(line))
        return
    for block in _TOOL.finditer(text):
        leaves = {p.group(1): unescape(p.group(2)) for p in _PARAM.finditer(block.group(2))}
        about = _ABOUT.search(block.group(2))
        yield {
            "name": block.group(1),
            "description": unescape(about.group(1)) if about else "",
            "leaves": leaves,
        }


_TOOL = re.compile(r'<tool name="([^"\n]*)">(.*?)</tool>', re.S)
_PARAM = re.compile(r'<param name="([^"\n]*)"[^>\n]*>([^<]*)</param>')
_ABOUT = re.compile(r"<about>([^<]*)</about>")


def read_native(tool: dict[str, Any]) -> dict[str, Any]:
    """A Messages-API tool dict as ``name``, ``description`` and its ``leaves``."""
    leaves: dict[str, str] = {}
    stack: list[tuple[tuple[str, ...], dict[str, Any]]] = [((), tool["input_schema"])]
    while stack:
        path, node = stack.pop()
        for name, child in node.get("properties", {}).items():
            if child.get("type") == "object" and child.get("properties"):
                stack.append(((*path, name), child))
            else:
                leaves[".".join((*path, name))] = str(child.get("description", ""))
    return {"name": tool["name"], "description": tool["description"], "leaves": leaves}


def arguments(tool: Tool, args: dict[str, Any]) -> dict[str, Any]:
    """Arguments by role as the nested input this tool's schema asks for.

    Raises `KeyError` with the role when the schema has no place for something that must be said;
    ``subject`` alone may be dropped (a chat has none).
    """
    nested: dict[str, Any] = {}
    roles = {param.role: param for param in tool.params if param.role}
    for role, value in args.items():
        if role in roles:
            _put(nested, roles[role].path, _typed(value, roles[role]))
        elif role != "subject":
            raise KeyError(role)
    for param in tool.params:
        if param.required and param.role not in args:
            _put(nested, param.path, _filler(param))
    return nested


def _put(nested: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        nested = nested.setdefault(name, {})
    nested[path[-1]] = value


def _typed(value: Any, param: Param) -> Any:
    if param.schema.get("type") == "array" and not isinstance(value, list):
        return [value]
    return value


def _filler(param: Param) -> Any:
    """The plainest value a schema accepts, for a required parameter no role explains."""
    schema = param.schema
    if "default" in schema:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    plain: dict[str, Any] = {"integer": 1, "number": 1, "boolean": False, "array": []}
    return plain.get(schema.get("type", "string"), "n/a")


def write_call(tool: Tool, args: dict[str, Any], channel: Channel, serial: int = 0) -> Turn:
    """One assistant turn that calls `tool` with arguments by role, as the channel wants it."""
    nested = arguments(tool, args)
    if channel == "native":
        return Turn("assistant", "", (Call(tool.name, nested, f"call_{serial}"),))
    if channel == "json":
        block = _encode({"tool": tool.name, "arguments": nested})
        return Turn("assistant", f"```json\n{block}\n```")
    return Turn("assistant", f'<call tool="{tool.name}">\n{_xml(nested)}</call>')


def _xml(nested: dict[str, Any]) -> str:
    parts = []
    for name, value in nested.items():
        if isinstance(value, dict):
            inner = "\n" + _xml(value)
        elif isinstance(value, list):
            inner = _escape(", ".join(map(str, value)))
        else:
            inner = _escape(str(value))
        parts.append(f"<{name}>{inner}</{name}>\n")
    return "".join(parts)


def _escape(text: str) -> str:
    if "&" in text or "<" in text or ">" in text:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text


def read_turn(
    turn: Turn, tools: Mapping[str, Tool], channel: Channel, index: int = 0
) -> tuple[Action, ...]:
    """Every action attempted in one turn, by role; `tools` are those offered, by name.

    Native calls are read in any channel (a subject may use them unasked); text calls only where
    the channel is textual, since prose about a call is not a call.
    """
    if turn.role != "assistant":
        return ()
    actions = [_action(call.name, call.input, tools, (index, -1, -1)) for call in turn.calls]
    if channel == "xml":
        actions += _read_xml(turn.text, tools, index)
    elif channel == "json":
        actions += _read_json(turn.text, tools, index)
    return tuple(actions)


def _action(
    name: str, raw: dict[str, Any], by_name: Mapping[str, Tool], span: tuple[int, int, int]
) -> Action:
    flat = dict(_flatten(raw))
    tool = by_name.get(name)
    if tool is None:
        return Action(UNKNOWN, flat, name, span, f"unknown tool {name!r}")
    args: dict[str, Any] = {}
    missing = []
    for param in tool.params:
        path = ".".join(param.path)
        if path in flat:
            args[param.role or path] = flat.pop(path)
        elif param.required:
            missing.append(path)
    args.update(flat)
    problems = [f"missing {path!r}" for path in missing] + [f"unexpected {path!r}" for path in flat]
    return Action(tool.role, args, name, span, "; ".join(problems))


def _flatten(value: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, child in value.items():
        path = f"{prefix}{key}"
        if isinstance(child, dict) and child:
            yield from _flatten(child, f"{path}.")
        elif isinstance(child, list) and any(isinstance(item, dict) for item in child):
            yield path, _encode(child)
        elif isinstance(child, list):
            yield path, ", ".join(map(str, child))
        else:
            yield path, child


_CALL = re.compile(r'<call\s+tool\s*=\s*["\']?([^"\'>\s]*)["\']?\s*>')
_OPEN = re.compile(r"<(/?)([A-Za-z_][\w.-]*)>")


def _read_xml(text: str, by_name: Mapping[str, Tool], index: int) -> Iterator[Action]:
    for match in _CALL.finditer(text):
        following = _CALL.search(text, match.end())
        limit = following.start() if following else len(text)
        close = text.find("</call>", match.end(), limit)
        end = close if close >= 0 else limit  # an unclosed call ends where the next begins
        raw = _elements(text[match.end() : end])
        span = (index, match.start(), min(end + len("</call>"), len(text)))
        yield _action(match.group(1), raw, by_name, span)


def _elements(text: str) -> dict[str, Any]:
    """Nested elements as nested dicts; an element never closed runs to the end of the text."""
    root: dict[str, Any] = {}
    stack: list[tuple[str, dict[str, Any], int]] = [("", root, 0)]
    for tag in _OPEN.finditer(text):
        name = tag.group(2)
        if not tag.group(1):
            stack.append((name, {}, tag.end()))
        elif any(name == open_name for open_name, _, _ in stack[1:]):
            while True:
                open_name, children, start = stack.pop()
                stack[-1][1][open_name] = children or unescape(text[start : tag.start()].strip())
                if open_name == name:
                    break
    while len(stack) > 1:
        name, children, start = stack.pop()
        stack[-1][1][name] = children or unescape(text[start:].strip())
    return root


_DECODER = json.JSONDecoder(strict=False)  # a subject may write raw line breaks into strings
_BRACE = re.compile(r"\{\s*\"")


def _read_json(text: str, by_name: Mapping[str, Tool], index: int) -> Iterator[Action]:
    position = 0
    while match := _BRACE.search(text, position):
        position = match.end()
        try:
            value, end = _DECODER.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            continue
        position = end
        name = value.get("tool", value.get("name"))
        if isinstance(name, str):
            raw = value.get("arguments", value.get("input", {}))
            raw = raw if isinstance(raw, dict) else {"arguments": raw}
            yield _action(name, raw, by_name, (index, match.start(), end))
