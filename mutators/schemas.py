"""Schemas: how strictly, how loosely and in what shape a tool's input is asked for."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Field

from fuzzer.scenario import Param, Scenario, Tool
from fuzzer.transform import Params, transform
from mutators import banks
from mutators.tools import kind_of, needs_words, restyled, use_of, with_tools, words
from mutators.values import changed

_PEOPLE = {"to": "to", "cc": "cc", "bcc": "cc", "attendees": "to"}


def _with_params(scenario: Scenario, change: Callable[[Tool, Param], Param]) -> Scenario:
    """The scenario with every parameter of every tool changed."""
    return with_tools(
        scenario,
        [
            changed(tool, params=tuple(change(tool, param) for param in tool.params))
            for tool in scenario.tools
        ],
    )


# ------------------------------------------------------------------------------------- shape


class ListRecipients(Params):
    """How the list is explained."""

    draw: Annotated[int, Field(ge=0, lt=16)] = 0


@transform(
    family="tools",
    relation="invariant",
    rung="form",
    changes={"tools"},
    before={"rename_params", "strict_schemas", "loose_schemas", "add_examples"},
    group="tool_extras",
)
def list_recipients(scenario: Scenario, params: ListRecipients) -> Scenario:
    """Ask for recipients as a list of addresses; as one text with commas where it was a list."""

    def listed(_: Tool, param: Param) -> Param:
        which = _PEOPLE.get(param.role or "")
        if which is None:
            return param
        was_list = param.schema.get("type") == "array"
        told = banks.recipients(f"{which}_{'text' if was_list else 'list'}")
        shape: dict[str, Any] = {"type": "string"}
        if not was_list:
            shape = {"type": "array", "items": {"type": "string"}}
        shape["description"] = told[banks.pick(params.draw, which, len(told))]
        return replace(param, schema=shape)

    return _with_params(scenario, listed)


class AddOptionalParams(Params):
    """How many options each tool gets, which, and whether only the sending tools get them."""

    count: Annotated[int, Field(ge=1, le=8)] = 1
    draw: Annotated[int, Field(ge=0, lt=256)] = 0
    tools: Literal["all", "sending"] = "all"


@transform(
    family="tools",
    relation="invariant",
    rung="context",
    changes={"tools"},
    before={"rename_params", "group_params", "nest_params"},
    version=2,
    group="tool_extras",
)
def add_optional_params(scenario: Scenario, params: AddOptionalParams) -> Scenario:
    """Give the tools further optional parameters that mean nothing to the dilemma."""
    extended = []
    for tool in scenario.tools:
        sending = tool.role in ("send_message", "forward_message", "post_message")
        if sending or params.tools == "all":
            added = _options(tool, kind_of(scenario, tool), params)
            tool = changed(tool, params=(*tool.params, *added))
        extended.append(tool)
    return with_tools(scenario, extended)


def _options(tool: Tool, kind: str, params: AddOptionalParams) -> list[Param]:
    """So many options that suit the tool and clash with nothing it has; each tool has its own."""
    taken = {name for param in tool.params for name in param.path}
    suiting = _suiting(use_of(tool.role, kind), kind)
    free = [param for param in suiting if taken.isdisjoint(param.path)]
    key = f"{tool.role} "
    free.sort(key=lambda param: banks.pick(params.draw, key + ".".join(param.path), 1 << 32))
    return free[: params.count]


@lru_cache(maxsize=128)
def _suiting(use: str, kind: str) -> tuple[Param, ...]:
    return tuple(
        option.param
        for option in banks.options()
        if option.use in (use, "any") and (not option.kinds or kind in option.kinds)
    )


class GroupParams(Params):
    """Which names the groups have, and which themes are grouped."""

    names: Annotated[int, Field(ge=0, lt=16)] = 0
    themes: Literal["all", "address", "words", "item"] = "all"


_THEMES = {
    **dict.fromkeys(("to", "cc", "bcc", "attendees", "assignee", "channel"), "address"),
    **dict.fromkeys(("subject", "body", "note", "title", "content", "reason", "query"), "words"),
    **dict.fromkeys(("message_id", "ticket_id", "alert_id", "path", "folder"), "item"),
}


@transform(
    family="tools",
    relation="invariant",
    rung="form",
    changes={"tools"},
    before={"nest_params"},
    version=2,
    group="param_shape",
)
def group_params(scenario: Scenario, params: GroupParams) -> Scenario:
    """Put parameters into objects by theme: whom it goes to, what it says, what it is about."""
    themes = banks.themes()
    named = themes[params.names % len(themes)]
    grouped = []
    for tool in scenario.tools:
        theme_of = [_THEMES.get(param.role or "", "rest") for param in tool.params]
        moved = [params.themes in ("all", theme) for theme in theme_of]
        left = {p.path[0] for p, moves in zip(tool.params, moved, strict=True) if not moves}
        group = {theme: _unlike(name, left) for theme, name in named.items()}
        grouped.append(
            changed(
                tool,
                params=tuple(
                    replace(param, path=(group[theme], *param.path)) if moves else param
                    for param, theme, moves in zip(tool.params, theme_of, moved, strict=True)
                ),
            )
        )
    return with_tools(scenario, grouped)


def _unlike(name: str, taken: set[str]) -> str:
    while name in taken:
        name = f"{name}_group"
    return name


# ------------------------------------------------------------------------------------ rigour


class StrictSchemas(Params):
    """What is laid down: that nothing else may be given, bounds, or both; `size` picks limits."""

    what: Literal["closed", "bounds", "both"] = "closed"
    size: Annotated[int, Field(ge=0, lt=4)] = 0


_LONGEST = {  # characters, by parameter role; the first that leaves room for what is to be said
    "subject": (255, 500, 150, 998),
    "body": (20_000, 10_000, 50_000, 100_000),
    "content": (100_000, 50_000, 200_000, 1_000_000),
    "note": (2_000, 5_000, 4_000, 10_000),
}
_ADDRESS = re.compile(r"\{\{[\w-]+\.email\}\}|[^\s@,;<>]+@[^\s@,;<>]+")


@transform(
    family="tools",
    relation="invariant",
    rung="form",
    changes={"tools"},
    before={"add_examples", "alias_tools"},
    group="schema_rigour",
)
def strict_schemas(scenario: Scenario, params: StrictSchemas) -> Scenario:
    """Forbid arguments that no schema names, bound the lengths of those it does, or both."""
    if params.what != "closed":
        said = _said(scenario)
        mail = {tool.name: kind_of(scenario, tool) == "mail" for tool in scenario.tools}

        def bounded(tool: Tool, param: Param) -> Param:
            values = said.get((tool.role, param.role or ""), [])
            return _bounded(param, values, params.size, mail[tool.name])

        scenario = _with_params(scenario, bounded)
    if params.what != "bounds":
        scenario = with_tools(scenario, [changed(tool, closed=True) for tool in scenario.tools])
    return scenario


def _said(scenario: Scenario) -> dict[tuple[str, str], list[str]]:
    """What the controls give for each parameter role of each tool role."""
    found: dict[tuple[str, str], list[str]] = {}
    for control in scenario.ledger.controls:
        for play in control.actions:
            for role, value in play.args.items():
                found.setdefault((play.role, role), []).append(value)
    return found


def _bounded(param: Param, said: list[str], size: int, mail: bool) -> Param:
    """The parameter with bounds that everything said meets."""
    if param.role is None:
        return param
    address = mail and param.role in ("to", "cc", "bcc")
    schema = dict(param.schema)
    if schema.get("type") == "array" and param.role in _PEOPLE:
        one = [part.strip() for value in said for part in value.split(",")]
        items = dict(schema.get("items") or {"type": "string"})
        if address and all(map(_ADDRESS.fullmatch, one)):
            items["format"] = "email"
        items.setdefault("minLength", min(map(len, one), default=3) and 1)
        schema |= {"items": items, "minItems": int(param.required and all(said)), "maxItems": 50}
    elif schema.get("type") == "string" and "enum" not in schema:
        limits = _LONGEST.get(param.role, (1_000, 500, 2_000, 4_096))
        # Slots are still to be filled: a text may come out longer than it stands there.
        needed = 2 * max(map(len, said), default=0) + 200 * any("{{" in one for one in said)
        ordered = (*limits[size:], *sorted(limits), 2 * needed)
        schema["maxLength"] = next(limit for limit in ordered if limit >= needed)
        schema["minLength"] = int(param.required and all(said))
        if address and _one_address(schema, said):
            schema["format"] = "email"
    return replace(param, schema=schema)


def _one_address(schema: dict[str, Any], said: list[str]) -> bool:
    """Whether a text holds one address, as far as its description and what is said tell."""
    several = re.search(r"comma|addresses|several|more|list", str(schema.get("description")), re.I)
    return not several and all(map(_ADDRESS.fullmatch, said))


class LooseSchemas(Params):
    """What is left open, and how "or nothing" is written."""

    what: Literal["types", "required", "null", "descriptions", "all"] = "types"
    null: Literal["list", "any_of"] = "list"


# Without these there is nothing to be done; all else may be left out.
_NEEDED = frozenset(
    ("to", "body", "content", "message_id", "ticket_id", "alert_id", "path", "title", "start")
) | {"query", "channel"}
# By which of its words a parameter's name alone says that it takes an addressee, or the words.
_PLAIN = {
    "to": {"to", "recipient", "recipients", "addressee", "address", "receiver", "email"},
    "body": {"body", "text", "content", "message"},
}


@transform(
    family="tools",
    relation="invariant",
    rung="form",
    changes={"tools"},
    before={"add_examples", "alias_tools"},
    version=2,
    group="schema_rigour",
)
def loose_schemas(scenario: Scenario, params: LooseSchemas) -> Scenario:
    """Leave types or descriptions out, allow null, or require only what an act needs."""
    told = {tool.name for tool in scenario.tools if needs_words(scenario, tool)}
    return _with_params(
        scenario, lambda tool, param: _loosened(param, params, keep=tool.name in told)
    )


def _loosened(param: Param, params: LooseSchemas, *, keep: bool) -> Param:
    schema, required = dict(param.schema), param.required
    if params.what in ("required", "all"):
        required = required and (param.role is None or param.role in _NEEDED)
    if params.what in ("null", "all") and not required:
        _allow_null(schema, params.null)
    if params.what in ("types", "all") and schema.get("type") == "string" and "enum" not in schema:
        del schema["type"]
    if params.what == "descriptions" and not keep and _named_plainly(param):
        schema.pop("description", None)
    return Param(param.path, param.role, schema, required)


def _allow_null(schema: dict[str, Any], form: str) -> None:
    kind = schema.get("type")
    if kind not in ("string", "integer", "number", "boolean") or "enum" in schema:
        return
    if form == "list":
        schema["type"] = [kind, "null"]
    else:  # as Python's schema generators write an optional argument
        schema["anyOf"] = [{"type": schema.pop("type")}, {"type": "null"}]
        schema.setdefault("default", None)


def _named_plainly(param: Param) -> bool:
    plain = _PLAIN.get(param.role or "")
    return plain is None or not plain.isdisjoint(words(param.path[-1]))


class TitleParams(Params):
    """How titles are capitalized."""

    case: Literal["title", "sentence", "pascal"] = "title"


@transform(
    family="tools",
    relation="invariant",
    rung="form",
    changes={"tools"},
    before={"alias_tools"},
    group="schema_rigour",
)
def title_params(scenario: Scenario, params: TitleParams) -> Scenario:
    """Give every parameter a title made from its name, as schema generators do."""

    def titled(_: Tool, param: Param) -> Param:
        name = " ".join(words(param.path[-1]))
        if params.case == "pascal":
            name = restyled(name, "pascal")
        else:
            name = name.title() if params.case == "title" else name.capitalize()
        return replace(param, schema={"title": name, **param.schema})

    return _with_params(scenario, titled)
