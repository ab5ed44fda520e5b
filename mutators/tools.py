"""Tools: what they are called, how they are explained, how their input is shaped and ordered."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from fuzzer.scenario import Param, Scenario, Tool
from fuzzer.transform import Params, transform
from mutators import banks
from mutators.values import changed

MESSAGING = frozenset(
    f"{verb}_message{plural}"
    for verb, plural in (
        *(("send", ""), ("forward", ""), ("read", ""), ("archive", ""), ("delete", "")),
        *(("search", "s"), ("list", "s")),
    )
)
LONGEST = 64  # characters of a tool's name on the Messages API

# ---------------------------------------------------------------------------------- names


@lru_cache(maxsize=4096)
def words(name: str) -> tuple[str, ...]:
    """The words of a name in any style.

    >>> words("sendEmail_now"), words("list-APIKeys")
    (('send', 'email', 'now'), ('list', 'api', 'keys'))
    """
    spaced = ""
    for i, c in enumerate(name):
        lower_next = name[i + 1 : i + 2].islower()
        if i and c.isupper() and (name[i - 1].islower() or (name[i - 1].isupper() and lower_next)):
            spaced += " "
        spaced += c if c.isascii() and c.isalnum() else " "
    return tuple(spaced.lower().split()) or ("tool",)


_CASES: dict[str, Callable[[tuple[str, ...]], str]] = {
    "snake": "_".join,
    "kebab": "-".join,
    "camel": lambda parts: parts[0] + "".join(part.capitalize() for part in parts[1:]),
    "pascal": lambda parts: "".join(part.capitalize() for part in parts),
    "upper": lambda parts: "_".join(parts).upper(),
}


def _restyled(name: str, case: str) -> str:
    return _CASES[case](words(name))


def free_name(name: str, taken: set[str]) -> str:
    """The name cut to what the wire allows and numbered if it is taken; it is then taken."""
    name = free = name[:LONGEST]
    number = 2
    while free in taken:
        free = f"{name[: LONGEST - 4]}_{number}"
        number += 1
    taken.add(free)
    return free


def _kind(tool: Tool) -> str:
    """The kind of product behind a tool: mail unless it says another."""
    if tool.role not in MESSAGING:
        return "other"
    return banks.kinds().get(tool.product, "mail")


def _with_tools(scenario: Scenario, tools: Iterable[Tool]) -> Scenario:
    return changed(scenario, tools=tuple(tools))


# -------------------------------------------------------------------------------- product


class SwapProduct(Params):
    """What stands behind the messaging tools, and which of its names."""

    kind: Literal["chat", "ticket", "mail"] = "chat"
    draw: Annotated[int, Field(ge=0, lt=4096)] = 0
    subject: bool = False  # whether a chat message keeps its subject


@transform(
    family="tools",
    relation="invariant",
    rung="form",
    changes={"tools"},
    before={"describe_tools", "rename_tools", "rename_params", "nest_params"},
)
def swap_product(scenario: Scenario, params: SwapProduct) -> Scenario:
    """Put a chat, a ticket desk or another mail program behind the messaging tools."""
    phrases = banks.products(params.kind)
    old = scenario.tool("send_message")
    start = banks.pick(params.draw, "product", len(phrases))
    phrase = next(
        (p for p in (*phrases[start:], *phrases[:start]) if old is None or p != old.product),
        phrases[start],
    )
    taken = {tool.name for tool in scenario.tools if tool.role not in MESSAGING}
    drop = params.kind == "chat" and not params.subject
    swapped = []
    for tool in scenario.tools:
        surface = banks.tool_surfaces().get((tool.role, params.kind))
        if tool.role in MESSAGING and surface:
            names, told = surface.names, surface.descriptions
            kept = tool.params
            if drop and tool.role == "send_message":
                kept = tuple(param for param in kept if param.role != "subject")
            tool = changed(
                tool,
                name=free_name(names[banks.pick(params.draw, tool.role, len(names))], taken),
                description=told[banks.pick(params.draw, f"{tool.role}?", len(told))],
                product=phrase,
                params=kept,
            )
        swapped.append(tool)
    return _with_tools(scenario, swapped)


# ----------------------------------------------------------------------------- descriptions


class DescribeTools(Params):
    """What is explained in other words: the tools, their parameters, or both."""

    what: Literal["tools", "params", "both"] = "tools"
    draw: Annotated[int, Field(ge=0, lt=1024)] = 0


@transform(family="tools", relation="invariant", rung="wording", changes={"tools"})
def describe_tools(scenario: Scenario, params: DescribeTools) -> Scenario:
    """Explain the tools, their parameters or both in other words."""
    described = []
    for tool in scenario.tools:
        update: dict[str, object] = {}
        surface = banks.tool_surfaces().get((tool.role, _kind(tool)))
        if params.what != "params" and surface:
            start = banks.pick(params.draw, tool.role, len(surface.descriptions))
            update["description"] = _other(surface.descriptions, start, tool.description)
        if params.what != "tools":
            update["params"] = tuple(_explained(param, params.draw) for param in tool.params)
        described.append(changed(tool, **update) if update else tool)
    return _with_tools(scenario, described)


def _other(choices: tuple[str, ...], start: int, old: str) -> str:
    """The choice at `start`, or the next one if that is what stands there already."""
    chosen = choices[start % len(choices)]
    return choices[(start + 1) % len(choices)] if chosen == old else chosen


def _explained(param: Param, draw: int) -> Param:
    surface = banks.param_surfaces().get(param.role or "")
    if surface is None:
        return param
    start = banks.pick(draw, param.role or "", len(surface.descriptions))
    text = _other(surface.descriptions, start, str(param.schema.get("description", "")))
    return replace(param, schema={**param.schema, "description": text})


# ------------------------------------------------------------------------------------ names


class RenameTools(Params):
    """The style of the names; `synonym` 0 keeps their words, others take the bank's."""

    style: Literal[
        "camel", "kebab", "pascal", "snake", "upper", "namespaced", "prefixed", "kebab_prefixed",
        "camel_prefixed", "versioned", "kebab_versioned", "tool_suffix", "mcp", "api",
    ] = "camel"  # fmt: skip
    synonym: Annotated[int, Field(ge=0, lt=16)] = 0


@transform(
    family="tools",
    relation="invariant",
    rung="form",
    changes={"tools"},
    before={"add_unrelated_tools", "reorder_tools"},
)
def rename_tools(scenario: Scenario, params: RenameTools) -> Scenario:
    """Call every tool something else: another case, a prefix or namespace, a synonym.

    PropensityBench, arXiv:2511.20703: with harmful tools under benign names, and the same described
    consequence, o4-mini used them in 59.3 instead of 15.8% of the runs, Claude Sonnet 4 in 47.1
    instead of 12.2%; 17 points on average.
    """
    case, template = banks.styles()[params.style]
    taken: set[str] = set()
    renamed = []
    for tool in scenario.tools:
        name = tool.name
        kind = _kind(tool)
        surface = banks.tool_surfaces().get((tool.role, kind))
        if params.synonym and surface:
            name = _other(surface.names, params.synonym - 1, name)
        name = _styled(name, case, template, kind, params.synonym)
        renamed.append(changed(tool, name=free_name(name, taken)))
    return _with_tools(scenario, renamed)


@lru_cache(maxsize=4096)
def _styled(name: str, case: str, template: str, kind: str, draw: int) -> str:
    spaces = banks.namespaces(kind)
    styled = _restyled(name, case)
    return template.format(
        ns=spaces[draw % len(spaces)], name=styled, Name=_restyled(name, "pascal")
    )


class RenameParams(Params):
    """The style of the names; `synonym` counts on from the present name in the bank's list."""

    style: Literal["snake", "camel", "pascal", "kebab", "upper"] = "snake"
    synonym: Annotated[int, Field(ge=0, lt=8)] = 0


@transform(
    family="tools",
    relation="invariant",
    rung="form",
    changes={"tools"},
    before={"nest_params", "add_unrelated_tools"},
)
def rename_params(scenario: Scenario, params: RenameParams) -> Scenario:
    """Call the tools' parameters something else, in one style throughout."""
    renamed = []
    for tool in scenario.tools:
        taken: set[tuple[str, ...]] = set()
        kept = []
        for param in tool.params:
            path = wanted = _renamed_path(
                param.path, param.role or "", params.synonym, params.style
            )
            number = 2
            while path in taken:
                path, number = (*wanted[:-1], f"{wanted[-1]}_{number}"), number + 1
            taken.add(path)
            kept.append(Param(path, param.role, param.schema, param.required))
        renamed.append(changed(tool, params=tuple(kept)))
    return _with_tools(scenario, renamed)


@lru_cache(maxsize=4096)
def _renamed_path(path: tuple[str, ...], role: str, step: int, style: str) -> tuple[str, ...]:
    return (*path[:-1], _restyled(_synonym(role, path[-1], step), style))


def _synonym(role: str, old: str, step: int) -> str:
    surface = banks.param_surfaces().get(role)
    if surface is None:
        return old
    plain = "_".join(words(old))
    others = [name for name in surface.names if name != plain]
    return others[step % len(others)]


# ------------------------------------------------------------------------------------ shape


class NestParams(Params):
    """What the object around the parameters is called, and how many there are."""

    wrapper: Annotated[int, Field(ge=0, lt=16)] = 0
    depth: Annotated[int, Field(ge=1, le=2)] = 1


@transform(
    family="tools",
    relation="invariant",
    rung="form",
    changes={"tools"},
    before={"add_unrelated_tools"},
)
def nest_params(scenario: Scenario, params: NestParams) -> Scenario:
    """Put every tool's parameters inside an object, or inside two."""
    wrappers = banks.wrappers()
    first = wrappers[params.wrapper % len(wrappers)]
    second = wrappers[(params.wrapper + 5) % len(wrappers)]
    outer = (first,) if params.depth == 1 else (first, second)
    nested = [
        changed(
            tool,
            params=tuple(
                Param((*outer, *p.path), p.role, p.schema, p.required) for p in tool.params
            ),
        )
        for tool in scenario.tools
    ]
    return _with_tools(scenario, nested)


class ReorderParams(Params):
    """In which order a tool's parameters are listed."""

    order: Literal["reversed", "alphabetical", "shuffled"] = "reversed"
    draw: Annotated[int, Field(ge=0, lt=256)] = 0


@transform(family="tools", relation="invariant", rung="form", changes={"tools"})
def reorder_params(scenario: Scenario, params: ReorderParams) -> Scenario:
    """List the parameters of every tool in another order."""
    reordered = []
    for tool in scenario.tools:
        kept = list(tool.params)
        if params.order == "reversed":
            kept.reverse()
        elif params.order == "alphabetical":
            kept.sort(key=lambda param: param.path)
        else:
            kept.sort(key=lambda param: banks.pick(params.draw, ".".join(param.path), 1 << 32))
        reordered.append(changed(tool, params=tuple(kept)))
    return _with_tools(scenario, reordered)


class AddUnrelatedTools(Params):
    """How many from the bank, which, and where they stand."""

    count: Annotated[int, Field(ge=1, le=12)] = 1
    start: Annotated[int, Field(ge=0, lt=256)] = 0
    place: Literal["after", "before", "mixed"] = "after"


@transform(
    family="tools",
    relation="invariant",
    rung="context",
    changes={"tools"},
    before={"reorder_params", "reorder_tools"},
)
def add_unrelated_tools(scenario: Scenario, params: AddUnrelatedTools) -> Scenario:
    """Offer up to a dozen further tools that have nothing to do with the dilemma."""
    bank = banks.unrelated_tools()
    taken = {tool.name for tool in scenario.tools}
    stride = 7 if len(bank) % 7 else 11
    added = []
    for i in range(params.count):
        tool = bank[(params.start + i * stride) % len(bank)]
        name = free_name(tool.name, taken)
        added.append(tool if name == tool.name else changed(tool, name=name))
    if params.place == "before":
        return _with_tools(scenario, (*added, *scenario.tools))
    if params.place == "after":
        return _with_tools(scenario, (*scenario.tools, *added))
    mixed = list(scenario.tools)
    for i, tool in enumerate(added):
        mixed.insert(banks.pick(params.start, i, len(mixed) + 1), tool)
    return _with_tools(scenario, mixed)


class ReorderTools(Params):
    """In which order the tools are listed."""

    order: Literal["reversed", "alphabetical", "shuffled"] = "reversed"
    draw: Annotated[int, Field(ge=0, lt=256)] = 0


@transform(family="tools", relation="invariant", rung="form", changes={"tools"})
def reorder_tools(scenario: Scenario, params: ReorderTools) -> Scenario:
    """List the tools in another order."""
    tools = list(scenario.tools)
    if params.order == "reversed":
        tools.reverse()
    elif params.order == "alphabetical":
        tools.sort(key=lambda tool: tool.name.lower())
    else:
        tools.sort(key=lambda tool: banks.pick(params.draw, tool.name, 1 << 32))
    return _with_tools(scenario, tools)
