"""Tools as methods of a class, for trainers that read schemas from signatures (TRL's GRPO).

One class for each set of tools. What a signature cannot say of a schema, the inside of an object,
stands in the parameter's description instead.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union

from fuzzer.augment.formats.chat import text
from fuzzer.augment.playing import REWARD, score
from fuzzer.augment.rows import Said, ToolCall
from fuzzer.augment.serving import Chat, row_from
from fuzzer.scenario import Scenario

#: What a trainer asks of the class itself; no tool can have these names.
OWN = ("reset", "get_reward")


class Environment:
    """One play at a time. `seeds` are those that are not built in."""

    seeds: Mapping[str, Scenario] = {}

    def __init__(self) -> None:
        self._chat: Chat | None = None
        self._made: list[ToolCall] = []

    def reset(self, **row: Any) -> None:
        """Begin anew, on the environment of a data set's row."""
        self._chat = Chat(row_from(row["row"]), self.seeds)
        self._made = []

    def get_reward(self) -> float:
        """What the calls since `reset` earn: harm is done by calls or not at all.

        Nothing called is harmless and useless.
        """
        if self._chat is None or not self._made:
            return REWARD["useless"]
        said = Said(role="assistant", tool_calls=tuple(self._made))
        return score(self._chat.variant, [said]).reward

    def _call(self, name: str, arguments: dict[str, Any]) -> str:
        assert self._chat is not None, "a trainer resets before it calls"
        call = ToolCall(id=f"call_{len(self._made)}", name=name, arguments=arguments)
        self._made.append(call)
        made = {"name": name, "arguments": arguments}
        (answer,) = self._chat.answer(
            {"role": "assistant", "tool_calls": [{"id": call.id, "function": made}]}
        )
        return str(answer["content"])


class Written:
    """An environment whose calls stand in the text: it has no tools, and sees nothing."""

    def reset(self, **row: Any) -> None:
        """Nothing to begin."""


def expressible(tools: Sequence[Mapping[str, Any]]) -> bool:
    """Whether methods can have the names of these tools, and a docstring those of parameters."""
    for tool in tools:
        properties = tool["input_schema"].get("properties", {})
        if tool["name"] in OWN or tool["name"].startswith("_"):
            return False
        if not all(re.fullmatch(r"\w+", name) for name in properties):
            return False
    return True


def environment_class(
    name: str, tools: Sequence[Mapping[str, Any]], seeds: Mapping[str, Scenario]
) -> type[Environment]:
    """A class whose public methods are these tools (as the Messages API has them)."""
    methods = {tool["name"]: _method(tool) for tool in tools}
    return type(name, (Environment,), {"seeds": seeds, **methods})


def _method(tool: Mapping[str, Any]) -> Any:
    name = tool["name"]

    def method(self: Environment, /, **arguments: Any) -> str:
        return self._call(name, arguments)

    schema = tool["input_schema"]
    properties, required = schema.get("properties", {}), schema.get("required", ())
    method.__name__ = method.__qualname__ = name
    method.__doc__ = _docstring(tool.get("description", ""), properties)
    hints = {key: _hint(value) for key, value in properties.items()}
    method.__annotations__ = {**hints, "return": str}
    method.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY),
            *(
                inspect.Parameter(
                    key,
                    inspect.Parameter.KEYWORD_ONLY,
                    annotation=hint,
                    default=inspect.Parameter.empty if key in required else None,
                )
                for key, hint in hints.items()
                if _may_be_parameter(key)
            ),
        ],
        return_annotation=str,
    )
    return method


def _may_be_parameter(key: str) -> bool:
    """Python's keywords may not, though JSON may use them; they are optional to who reads this."""
    try:
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY)
    except ValueError:
        return False
    return True


_SECTION = re.compile(r"\b(Args|Returns|Raises|Yields):")


def _docstring(description: str, properties: Mapping[str, Mapping[str, Any]]) -> str:
    """What it does and its parameters, in Google's style, which is what trainers read."""
    said = "\n".join(line.strip() for line in _SECTION.sub(r"\1 -", description).splitlines())
    lines = [said.strip() or "No description."]
    if properties:
        lines += ["", "Args:"]
        lines += [f"    {key}: {_explained(value)}" for key, value in properties.items()]
    return "\n".join(lines)


def _explained(schema: Mapping[str, Any]) -> str:
    """What is said of a parameter, on one line; the inside of an object as JSON Schema."""
    said = " ".join(_SECTION.sub(r"\1 -", str(schema.get("description", ""))).split())
    inside = schema.get("properties") or schema.get("items", {}).get("properties")
    if inside:
        said = f"{said} JSON Schema of what is inside: {text(schema)}".strip()
    return said or "No description."


_HINTS: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "object": dict,
    "null": type(None),
}


def _hint(schema: Mapping[str, Any]) -> Any:
    """A type hint that says the same as a schema, as far as one can."""
    if choices := schema.get("enum"):
        return Literal[tuple(choices)]
    if alternatives := schema.get("anyOf"):
        return Union[tuple(_hint(one) for one in alternatives)]  # noqa: UP007 - of a tuple
    kind = schema.get("type")
    if isinstance(kind, list):
        return Union[tuple(_hint({**schema, "type": one}) for one in kind)]  # noqa: UP007
    if kind == "array":
        return list[_hint(schema.get("items", {}))]  # type: ignore[misc]
    return _HINTS.get(str(kind), Any)
