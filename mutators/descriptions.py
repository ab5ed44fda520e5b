"""Descriptions: how briefly, how fully and in what layout a tool is documented."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from fuzzer.scenario import Param, Scenario, Tool
from fuzzer.transform import Params, transform
from mutators import banks
from mutators.tools import kind_of, needs_words, thing_of, use_of, with_tools
from mutators.values import changed


class ShortenDescriptions(Params):
    """What is left: a few words, or the first sentence; and whether a full stop ends it."""

    to: Literal["words", "sentence"] = "words"
    stop: bool = True


@transform(
    family="tools",
    relation="invariant",
    rung="wording",
    changes={"tools"},
    before={"add_tool_notes", "format_descriptions", "add_examples", "alias_tools"},
    version=2,
    group="tool_words",
)
def shorten_descriptions(scenario: Scenario, params: ShortenDescriptions) -> Scenario:
    """Cut every tool's description down to a few words or to its first sentence."""
    shortened = []
    for tool in scenario.tools:
        if needs_words(scenario, tool):
            shortened.append(tool)
            continue
        said = tool.description.split("\n")[0].partition(". ")[0].removesuffix(".")
        known = (tool.role, kind_of(scenario, tool)) in banks.tool_surfaces()
        if params.to == "words" and known:
            said = _in_words(tool, kind_of(scenario, tool))
        said += "." if said and params.stop else ""
        shortened.append(changed(tool, description=said))
    return with_tools(scenario, shortened)


def _in_words(tool: Tool, kind: str) -> str:
    """The tool's role, with what its program calls a message."""
    thing = {"mail": "email", "chat": "chat message", "ticket": "ticket", "item": "item"}.get(kind)
    if kind == "item" and tool.role == "send_message":
        thing = thing_of(tool)
    said = tool.role.replace("_", " ")
    return (said.replace("message", thing) if thing else said).capitalize()


class AddToolNotes(Params):
    """How many sentences a tool gets, and which."""

    count: Annotated[int, Field(ge=1, le=3)] = 1
    draw: Annotated[int, Field(ge=0, lt=256)] = 0


@transform(
    family="tools",
    relation="invariant",
    rung="context",
    changes={"tools"},
    before={"format_descriptions", "add_examples", "alias_tools"},
    version=2,
    group="tool_words",
)
def add_tool_notes(scenario: Scenario, params: AddToolNotes) -> Scenario:
    """Add what documentation adds and nobody reads: a version, a rate limit, an encoding.

    About every other tool gets some, such as suit it, behind what it does.
    """
    noted = []
    for tool in scenario.tools:
        if tool.role == "send_message" or banks.pick(params.draw, f"{tool.role}?", 2):
            bank = banks.notes(use_of(tool.role, kind_of(scenario, tool)))
            start = banks.pick(params.draw, tool.role, len(bank))
            notes = (bank[(start + 3 * i) % len(bank)] for i in range(params.count))
            text = " ".join(filter(None, (tool.description, *notes)))
            tool = changed(tool, description=text)
        noted.append(tool)
    return with_tools(scenario, noted)


# ------------------------------------------------------------------------------------ layout


class FormatDescriptions(Params):
    """In which layout a tool and its parameters are documented."""

    layout: Literal["docstring", "markdown", "list", "table"] = "docstring"


@transform(
    family="tools",
    relation="invariant",
    rung="form",
    changes={"tools"},
    before={"add_examples", "alias_tools"},
    group="tool_words",
)
def format_descriptions(scenario: Scenario, params: FormatDescriptions) -> Scenario:
    """Repeat the parameters in each description: as a docstring, under headings or in a table."""
    return with_tools(
        scenario,
        [
            changed(tool, description=_LAYOUTS[params.layout](tool)) if tool.params else tool
            for tool in scenario.tools
        ],
    )


def _rows(tool: Tool) -> Iterator[tuple[str, str, str, str]]:
    """Each parameter as name, type, whether it is required, and what is said of it."""
    for param in tool.params:
        kind = _type(param.schema)
        needed = "required" if param.required else "optional"
        yield ".".join(param.path), kind, needed, str(param.schema.get("description", ""))


def _type(schema: dict[str, Any]) -> str:
    kinds = schema.get("type") or [one["type"] for one in schema.get("anyOf", ())] or "any"
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def _docstring(tool: Tool) -> str:
    rows = (f"    {name} ({kind}, {need}): {said}" for name, kind, need, said in _rows(tool))
    return "\n".join((f"{tool.description}\n\nArgs:", *map(str.rstrip, rows)))


def _markdown(tool: Tool) -> str:
    rows = (f"- `{name}` ({kind}, {need}) {said}" for name, kind, need, said in _rows(tool))
    parts = (f"## Description\n{tool.description}\n\n## Parameters", *map(str.rstrip, rows))
    return "\n".join(parts)


def _list(tool: Tool) -> str:
    rows = (f"* {name}: {said or kind}" for name, kind, _, said in _rows(tool))
    return "\n".join((f"{tool.description}\nInput:", *rows))


def _table(tool: Tool) -> str:
    head = "| Field | Type | | Meaning |\n| --- | --- | --- | --- |"
    return "\n".join((tool.description, "", head, *(f"| {' | '.join(r)} |" for r in _rows(tool))))


_LAYOUTS = {"docstring": _docstring, "markdown": _markdown, "list": _list, "table": _table}

# ---------------------------------------------------------------------------------- examples


class AddExamples(Params):
    """Where examples stand, whether optional parameters are shown, and which values are."""

    place: Literal["description", "schema"] = "description"
    full: bool = False
    draw: Annotated[int, Field(ge=0, lt=64)] = 0


@transform(
    family="tools",
    relation="invariant",
    rung="wording",
    changes={"tools"},
    before={"alias_tools"},
    group="tool_words",
)
def add_examples(scenario: Scenario, params: AddExamples) -> Scenario:
    """Show how each tool is used, with values that name nobody and are about nothing."""
    shown = []
    for tool in scenario.tools:
        kind = kind_of(scenario, tool)
        if params.place == "schema":
            shown_in = tuple(_exemplified(param, kind, params.draw) for param in tool.params)
            tool = changed(tool, params=shown_in)
        elif example := _example(tool, kind, params):
            gap = "\n\n" if "\n" in tool.description else " "
            lead = _LEADS[params.draw % len(_LEADS)]
            text = f"{lead} {json.dumps(example)}"
            tool = changed(tool, description=f"{tool.description}{gap}{text}".strip())
        shown.append(tool)
    return with_tools(scenario, shown)


_LEADS = ("Example:", "For example:", "Example input:", "Used like this:")


def _exemplified(param: Param, kind: str, draw: int) -> Param:
    value = _value(param, kind, draw)
    if value is None or "enum" in param.schema:
        return param
    return replace(param, schema={**param.schema, "examples": [value]})


def _example(tool: Tool, kind: str, params: AddExamples) -> dict[str, Any] | None:
    """An input that the tool's schema accepts; None where a value is anybody's guess."""
    example: dict[str, Any] = {}
    for param in tool.params:
        value = _value(param, kind, params.draw)
        if value is None and param.required:
            return None
        if value is not None and (param.required or params.full):
            node = example
            for name in param.path[:-1]:
                node = node.setdefault(name, {})
            node[param.path[-1]] = value
    return example or None


def _value(param: Param, kind: str, draw: int) -> Any:
    """A value the parameter's schema accepts, or None if there is none to be known."""
    schema = param.schema
    type_ = _type(schema).partition(" or ")[0]
    if choices := schema.get("enum"):
        return choices[draw % len(choices)]
    if type_ == "boolean":
        return draw % 2 == 0
    known = banks.param_surface(param.role or "", kind)
    bank = banks.examples(param.role or "") if known else ()
    said = bank[banks.pick(draw, param.role or "", len(bank))] if bank else None
    if type_ in ("integer", "number"):
        least = max(1, schema.get("minimum", 1))
        wanted = int(said) if said and said.isdecimal() else least
        return max(least, min(wanted, schema.get("maximum", wanted)))
    if said is None or type_ not in ("string", "any", "array"):
        return None
    return [said] if type_ == "array" else said
