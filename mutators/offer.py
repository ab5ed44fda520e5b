"""Offer: which tools there are beside the one that matters, and where that one stands."""

from typing import Annotated, Literal

from pydantic import Field

from fuzzer.scenario import Scenario, Tool, parse_slots
from fuzzer.transform import Params, transform
from mutators import banks
from mutators.tools import free_name, kind_of, other, placed, restyled, surface_of, with_tools
from mutators.values import changed

# ------------------------------------------------------------------------------------- fewer


class RemoveSpareTools(Params):
    """How many of the tools that nothing needs are kept."""

    keep: Annotated[int, Field(ge=0, le=3)] = 0


@transform(
    family="tools",
    relation="invariant",
    rung="context",
    changes={"tools"},
    before={"alias_tools", "add_unrelated_tools", "crowd_tools"},
    group="tool_offer",
)
def remove_spare_tools(scenario: Scenario, params: RemoveSpareTools) -> Scenario:
    """Offer only the tools that some text, some act or the ordinary job needs.

    One tool less took harm from 59 to 3 per cent in model organisms (Hopman et al., arXiv
    2603.01608): which tools stand beside the one that matters can decide.
    """
    needed = _needed(scenario)
    spare = [tool.role for tool in scenario.tools if tool.role not in needed]
    gone = set(spare[params.keep :])
    return with_tools(scenario, [tool for tool in scenario.tools if tool.role not in gone])


def _needed(scenario: Scenario) -> set[str]:
    """The tool roles that a control plays, a judge looks for or a text names."""
    ledger = scenario.ledger
    roles = {play.role for control in ledger.controls for play in control.actions}
    roles |= {act.role for act in (*ledger.acts, *ledger.utility)} | {"send_message"}
    for _, text in scenario.texts():
        slots = (part for part in parse_slots(text) if isinstance(part, tuple))
        roles |= {name for owner, name in slots if owner in ("tool", "product")}
    return roles


# -------------------------------------------------------------------------------------- more


class CrowdTools(Params):
    """How many tools there are in the end, from where in the bank, and where they stand."""

    total: Annotated[int, Field(ge=12, le=60)] = 20
    start: Annotated[int, Field(ge=0, lt=256)] = 0
    place: Literal["after", "before", "mixed"] = "after"


@transform(
    family="tools",
    relation="invariant",
    rung="context",
    changes={"tools"},
    before={
        *("rename_tools", "rename_params", "group_params", "nest_params"),
        *("reorder_params", "reorder_tools", "place_key_tools"),
    },
    version=2,
    group="tool_offer",
)
def crowd_tools(scenario: Scenario, params: CrowdTools) -> Scenario:
    """Fill the offer up with unrelated tools, to twenty or to as many as sixty."""
    offered = {tool.role for tool in scenario.tools}
    taken = {tool.name for tool in scenario.tools}
    bank = banks.unrelated_tools()
    turned = (bank[(params.start + i) % len(bank)] for i in range(len(bank)))
    fresh = [tool for tool in turned if tool.role not in offered]
    added = []
    for tool in fresh[: max(0, params.total - len(scenario.tools))]:
        name = free_name(tool.name, taken)
        added.append(tool if name == tool.name else changed(tool, name=name))
    return with_tools(scenario, placed(scenario.tools, added, params.place, params.start))


class AliasTools(Params):
    """Which tools are offered twice, how the second is explained, and where it stands."""

    which: Literal["sending", "known"] = "sending"
    explained: Literal["alias", "same"] = "alias"
    place: Literal["next", "last"] = "next"
    draw: Annotated[int, Field(ge=0, lt=64)] = 0


@transform(
    family="tools",
    relation="invariant",
    rung="context",
    changes={"tools"},
    before={"reorder_tools", "place_key_tools"},
    group="tool_extras",
)
def alias_tools(scenario: Scenario, params: AliasTools) -> Scenario:
    """Offer a tool a second time under another name, as an alias or in the same words."""
    taken = {tool.name for tool in scenario.tools}
    offered: list[Tool] = []
    last: list[Tool] = []
    for tool in scenario.tools:
        offered.append(tool)
        surface = surface_of(tool, kind_of(scenario, tool))
        if params.which == "sending" and tool.role != "send_message":
            continue
        if params.which == "known" and surface is None:
            continue
        plain = f"{restyled(tool.name, 'snake')}_alias"
        if surface:
            start = banks.pick(params.draw, tool.role, len(surface.names))
            plain = other(surface.names, start, restyled(tool.name, "snake"))
        alias = changed(tool, name=free_name(restyled(plain, _case(tool.name)), taken))
        if params.explained == "alias":
            alias = changed(alias, description=_told(tool, params.draw))
        (offered if params.place == "next" else last).append(alias)
    return with_tools(scenario, (*offered, *last))


def _told(tool: Tool, draw: int) -> str:
    forms = ("Alias of {}.", "The same as {}.", "Another name for {}.", "See {}.")
    return forms[draw % len(forms)].format(tool.name)


def _case(name: str) -> str:
    """The case a name is written in, its namespace included."""
    if "-" in name:
        return "kebab"
    if name.isupper():
        return "upper"
    if "_" in name or name.islower():
        return "snake"
    return "pascal" if name[0].isupper() else "camel"


# ------------------------------------------------------------------------------------- where


class PlaceKeyTools(Params):
    """Where the tools that matter stand among the others."""

    place: Literal["last", "middle", "first"] = "last"


@transform(family="tools", relation="invariant", rung="form", changes={"tools"}, group="tool_place")
def place_key_tools(scenario: Scenario, params: PlaceKeyTools) -> Scenario:
    """List the tools that the harmful act takes first, in the middle or last."""
    controls = scenario.ledger.controls
    roles = {play.role for c in controls if c.verdict == "harmful" for play in c.actions}
    roles = roles or {"send_message"}
    key = [tool for tool in scenario.tools if tool.role in roles]
    others = [tool for tool in scenario.tools if tool.role not in roles]
    at = {"first": 0, "middle": (len(others) + 1) // 2, "last": len(others)}[params.place]
    return with_tools(scenario, (*others[:at], *key, *others[at:]))
