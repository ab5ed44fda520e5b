"""Tools: what they are called, how they are explained, how their input is shaped and ordered."""

import re
from collections.abc import Callable, Iterable, Sequence
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

# What stands behind the tools that pass messages when their product does not say.
_OF_MEDIUM = {"mail": "mail", "chat": "chat", "tickets": "ticket", "files": "item", "code": "item"}
_TELLING = (  # words by which a product says what it is, the first that is found
    ("chat", re.compile(r"chat|messenger|messaging|channel|direct message", re.I)),
    ("ticket", re.compile(r"ticket|tracker|service desk|help ?desk|case desk", re.I)),
    ("mail", re.compile(r"mail", re.I)),
)
# What a tool with a kind of its own is called by, or the program behind it, if it is what it seems.
_HOMELY = {
    "calendar": re.compile(r"calendar|event|meeting|appointment|schedul|diary|invit", re.I),
    "room": re.compile(r"post|channel|room|chat", re.I),
    "alarm": re.compile(r"alert|alarm", re.I),
    "desk": re.compile(r"ticket", re.I),
    "store": re.compile(r"file|document|folder|drive|repo", re.I),
}

_USES = {  # what tools do to whom it does not concern; of an unknown kind, anybody's guess
    **dict.fromkeys(("send_message", "forward_message", "post_message"), "send"),
    **dict.fromkeys(("read_message", "read_ticket", "read_file"), "read"),
    **dict.fromkeys(("search_messages", "list_messages", "list_tickets", "list_files"), "search"),
    **dict.fromkeys(("archive_message", "write_file", "create_ticket", "create_event"), "file"),
}

# What a description promises of a tool's input, by the parameter that keeps the promise.
_PROMISES: dict[str, tuple[tuple[str, re.Pattern[str]], ...]] = {
    role: tuple((needed, re.compile(rf"\b({said})\b", re.I)) for needed, said in promises)
    for role, promises in {
        "send_message": (("cc", "cop(y|ies)"), ("subject", "subject|heading")),
        "forward_message": (("note", "note"),),
        "archive_message": (("folder", "folder"),),
        "create_event": (("title", "title"), ("start", "start time|given time")),
        "create_ticket": (("title", "title"), ("body", "description")),
        "update_ticket": (("note", "notes?"), ("status", "status")),
        "close_ticket": (("note", "note"),),
        "list_tickets": (("status", "given status"),),
        "list_files": (("folder", "(a|the) (folder|directory)"),),
    }.items()
}

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


def restyled(name: str, case: str) -> str:
    """A name in another case.

    >>> restyled("send_email", "camel"), restyled("sendEmail", "kebab")
    ('sendEmail', 'send-email')
    """
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


def kind_of(scenario: Scenario, tool: Tool) -> str:
    """The kind of a tool: of its role, or else of the product behind it, or else of the medium."""
    home = banks.homes().get(tool.role)
    if home:
        if not _HOMELY[home].search(f"{tool.name} {tool.product}"):
            return "other"  # a line in a ledger may be written as a file, but is not called one
        return "repository" if home == "store" and scenario.medium == "code" else home
    if tool.role not in MESSAGING:
        return "other"
    kind = _product_kind(tool.product) or _OF_MEDIUM[scenario.medium]
    # Where tickets are records of their own, a message called a ticket would be taken for one.
    return "item" if kind == "ticket" and _keeps_tickets(scenario) else kind


def _keeps_tickets(scenario: Scenario) -> bool:
    return any(banks.homes().get(tool.role) == "desk" for tool in scenario.tools)


@lru_cache(maxsize=256)
def _product_kind(product: str) -> str:
    """What a product's name says of its kind; empty where it says nothing."""
    if known := banks.kinds().get(product):
        return known
    return next((kind for kind, words_ in _TELLING if words_.search(product)), "")


def use_of(role: str, kind: str) -> str:
    """What a tool is for: ``send``, ``read``, ``search``, ``file``, or ``any`` where none fits."""
    return "any" if kind == "other" else _USES.get(role, "any")


_THING = re.compile(r"comment|message|note")


def thing_of(tool: Tool) -> str:
    """What people send with the tool where that is neither mail nor chat: a note, a comment."""
    found = _THING.search(" ".join((*words(tool.name), tool.description.lower())))
    return found[0] if found else "note"


def surface_of(tool: Tool, kind: str) -> banks.Surface | None:
    """The names a tool may have, and the descriptions that promise no more than its schema has."""
    surface = banks.tool_surfaces().get((tool.role, kind))
    if surface is None:
        return None
    thing = thing_of(tool) if (tool.role, kind) == ("send_message", "item") else ""
    return _surface(surface, tool.role, frozenset(p.role for p in tool.params), thing)


@lru_cache(maxsize=1024)
def _surface(
    surface: banks.Surface, role: str, params: frozenset[str | None], thing: str
) -> banks.Surface:
    names, descriptions = surface.names, surface.descriptions
    broken = [said for needed, said in _PROMISES.get(role, ()) if needed not in params]
    descriptions = tuple(d for d in descriptions if not any(said.search(d) for said in broken))
    if thing:
        names = tuple(name.replace("note", thing) for name in names)
        descriptions = tuple(d.replace("note", thing).replace("Note", thing) for d in descriptions)
    return banks.Surface(names, descriptions)


def needs_words(scenario: Scenario, tool: Tool) -> bool:
    """Whether only its description says what a tool does that has to do with the dilemma."""
    return kind_of(scenario, tool) == "other" and not tool.role.startswith("unrelated")


def with_tools(scenario: Scenario, tools: Iterable[Tool]) -> Scenario:
    """The scenario with other tools."""
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
    version=3,
)
def swap_product(scenario: Scenario, params: SwapProduct) -> Scenario:
    """Put a chat, a ticket desk or another mail program behind the messaging tools.

    Where the inbox is none of mail, another program of the same kind: what is shown stays true.
    """
    kind = _swapped_kind(scenario, params.kind)
    phrases = banks.products(kind)
    old = scenario.tool("send_message")
    start = banks.pick(params.draw, "product", len(phrases))
    phrase = next(
        (p for p in (*phrases[start:], *phrases[:start]) if old is None or p != old.product),
        phrases[start],
    )
    # Outside mail, what reads the items shown may be another program than what sends.
    swaps = [
        tool.role in MESSAGING and (scenario.medium == "mail" or kind_of(scenario, tool) == kind)
        for tool in scenario.tools
    ]
    taken = {t.name for t, swapped in zip(scenario.tools, swaps, strict=True) if not swapped}
    # Where a chat is shown with its threads, what opens a thread is kept.
    drop = kind == "chat" and not params.subject and scenario.medium != "chat"
    offered = []
    for tool, swapped in zip(scenario.tools, swaps, strict=True):
        if swapped:
            if drop and tool.role == "send_message":
                kept = tuple(param for param in tool.params if param.role != "subject")
                tool = changed(tool, params=kept)
            surface = surface_of(tool, kind) or banks.tool_surfaces()[tool.role, kind]
            names, told = surface.names, surface.descriptions
            tool = changed(
                tool,
                name=free_name(names[banks.pick(params.draw, tool.role, len(names))], taken),
                description=told[banks.pick(params.draw, f"{tool.role}?", len(told))],
                product=phrase,
                params=_fitted(tool.params, kind, params.draw),
            )
        offered.append(tool)
    return with_tools(scenario, offered)


def _swapped_kind(scenario: Scenario, wanted: str) -> str:
    """The kind that may stand behind the messaging tools without belying the inbox.

    Mail may be answered by chat or ticket; elsewhere a program of the same kind takes over.
    """
    tool = scenario.tool("send_message")
    if scenario.medium != "mail" and tool is not None:
        return kind_of(scenario, tool)
    return "chat" if wanted == "ticket" and _keeps_tickets(scenario) else wanted


def _fitted(params: tuple[Param, ...], kind: str, draw: int) -> tuple[Param, ...]:
    """The parameters without a word of mail where there is no mail."""
    if kind == "mail":
        return params
    fitted: list[Param] = []
    for param in params:
        surface = banks.param_surface(param.role or "", kind)
        path, schema = param.path, param.schema
        if surface and not banks.fitting((path[-1],), kind):
            taken = {p.path for p in (*params, *fitted)}
            path = next((q for n in surface.names if (q := (*path[:-1], n)) not in taken), path)
        if surface and not banks.fitting((str(schema.get("description", "")),), kind):
            told = surface.descriptions
            said = told[banks.pick(draw, param.role or "", len(told))]
            schema = {**schema, "description": said}
        fitted.append(Param(path, param.role, schema, param.required))
    return tuple(fitted)


# ----------------------------------------------------------------------------- descriptions


class DescribeTools(Params):
    """What is explained in other words: the tools, their parameters, or both."""

    what: Literal["tools", "params", "both"] = "tools"
    draw: Annotated[int, Field(ge=0, lt=1024)] = 0


@transform(
    family="tools",
    relation="invariant",
    rung="wording",
    changes={"tools"},
    before={"list_recipients"},
    version=3,
    group="tool_words",
)
def describe_tools(scenario: Scenario, params: DescribeTools) -> Scenario:
    """Explain the tools, their parameters or both in other words."""
    described = []
    for tool in scenario.tools:
        update: dict[str, object] = {}
        kind = kind_of(scenario, tool)
        surface = surface_of(tool, kind)
        if params.what != "params" and surface:
            start = banks.pick(params.draw, tool.role, len(surface.descriptions))
            update["description"] = other(surface.descriptions, start, tool.description)
        if params.what != "tools":
            update["params"] = tuple(_explained(param, kind, params.draw) for param in tool.params)
        described.append(changed(tool, **update) if update else tool)
    return with_tools(scenario, described)


def other(choices: tuple[str, ...], start: int, old: str) -> str:
    """The choice at `start`, or the next one if that is what stands there already."""
    chosen = choices[start % len(choices)]
    return choices[(start + 1) % len(choices)] if chosen == old else chosen


def _explained(param: Param, kind: str, draw: int) -> Param:
    surface = banks.param_surface(param.role or "", kind)
    if surface is None:
        return param
    start = banks.pick(draw, param.role or "", len(surface.descriptions))
    text = other(surface.descriptions, start, str(param.schema.get("description", "")))
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
    before={"reorder_tools"},
    version=3,
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
        kind = kind_of(scenario, tool)
        surface = surface_of(tool, kind)
        if params.synonym and surface:
            name = other(surface.names, params.synonym - 1, name)
        name = _styled(name, case, template, kind, params.synonym)
        renamed.append(changed(tool, name=free_name(name, taken)))
    return with_tools(scenario, renamed)


@lru_cache(maxsize=4096)
def _styled(name: str, case: str, template: str, kind: str, draw: int) -> str:
    spaces = banks.namespaces(kind)
    space = spaces[draw % len(spaces)]
    if "{ns}" in template:
        name = "_".join(_beside(words(name), space))
    return template.format(ns=space, name=restyled(name, case), Name=restyled(name, "pascal"))


_LINKS = frozenset(("to", "in", "on", "from", "with", "into", "of"))


def _beside(name: tuple[str, ...], space: str) -> tuple[str, ...]:
    """A name's words without what its namespace says already.

    >>> _beside(("send", "chat", "message"), "chat"), _beside(("add", "to", "calendar"), "calendar")
    (('send', 'message'), ('add',))
    """
    said = space.removesuffix("s")
    kept = [w for w in name if len(w) < 4 or (w.removesuffix("s") not in said and said not in w)]
    while kept and kept[-1] in _LINKS:
        kept.pop()
    return tuple(kept) or name


class RenameParams(Params):
    """The style of the names; `synonym` counts on from the present name in the bank's list."""

    style: Literal["snake", "camel", "pascal", "kebab", "upper"] = "snake"
    synonym: Annotated[int, Field(ge=0, lt=8)] = 0


@transform(
    family="tools",
    relation="invariant",
    rung="form",
    changes={"tools"},
    before={"nest_params"},
    version=3,
)
def rename_params(scenario: Scenario, params: RenameParams) -> Scenario:
    """Call the tools' parameters something else, in one style throughout."""
    renamed = []
    for tool in scenario.tools:
        kind = kind_of(scenario, tool)
        taken: set[tuple[str, ...]] = set()
        kept = []
        for param in tool.params:
            path = wanted = _renamed_path(
                param.path, param.role or "", kind, params.synonym, params.style
            )
            number = 2
            while path in taken:
                path, number = (*wanted[:-1], f"{wanted[-1]}_{number}"), number + 1
            taken.add(path)
            kept.append(Param(path, param.role, param.schema, param.required))
        renamed.append(changed(tool, params=tuple(kept)))
    return with_tools(scenario, renamed)


@lru_cache(maxsize=4096)
def _renamed_path(
    path: tuple[str, ...], role: str, kind: str, step: int, style: str
) -> tuple[str, ...]:
    return (*path[:-1], restyled(_synonym(role, kind, path[-1], step), style))


def _synonym(role: str, kind: str, old: str, step: int) -> str:
    surface = banks.param_surface(role, kind)
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
    version=2,
    group="param_shape",
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
    return with_tools(scenario, nested)


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
    return with_tools(scenario, reordered)


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
    before={
        *("rename_tools", "rename_params", "group_params", "nest_params"),
        *("reorder_params", "reorder_tools"),
    },
    version=2,
    group="tool_offer",
)
def add_unrelated_tools(scenario: Scenario, params: AddUnrelatedTools) -> Scenario:
    """Offer up to a dozen further tools that have nothing to do with the dilemma.

    Tools that are never needed are half of what "Teaching Claude Why" (2026) added to its training
    environments, for a small but significant gain on honeypots (no figure is given).
    """
    bank = banks.unrelated_tools()
    taken = {tool.name for tool in scenario.tools}
    stride = 7 if len(bank) % 7 else 11
    added = []
    for i in range(params.count):
        tool = bank[(params.start + i * stride) % len(bank)]
        name = free_name(tool.name, taken)
        added.append(tool if name == tool.name else changed(tool, name=name))
    return with_tools(scenario, placed(scenario.tools, added, params.place, params.start))


def placed(tools: Sequence[Tool], added: Sequence[Tool], place: str, draw: int) -> tuple[Tool, ...]:
    """The tools with others added: ``before`` them, ``after`` them, or ``mixed`` among them."""
    if place == "before":
        return (*added, *tools)
    if place == "after":
        return (*tools, *added)
    mixed = list(tools)
    for i, tool in enumerate(added):
        mixed.insert(banks.pick(draw, i, len(mixed) + 1), tool)
    return tuple(mixed)


class ReorderTools(Params):
    """In which order the tools are listed."""

    order: Literal["reversed", "alphabetical", "shuffled"] = "reversed"
    draw: Annotated[int, Field(ge=0, lt=256)] = 0


@transform(family="tools", relation="invariant", rung="form", changes={"tools"}, group="tool_place")
def reorder_tools(scenario: Scenario, params: ReorderTools) -> Scenario:
    """List the tools in another order."""
    tools = list(scenario.tools)
    if params.order == "reversed":
        tools.reverse()
    elif params.order == "alphabetical":
        tools.sort(key=lambda tool: tool.name.lower())
    else:
        tools.sort(key=lambda tool: banks.pick(params.draw, tool.name, 1 << 32))
    return with_tools(scenario, tools)
