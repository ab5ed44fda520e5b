"""Channel: how actions are expressed, and over how many turns the inbox arrives."""

from typing import Annotated, Literal

from pydantic import Field

from fuzzer.scenario import Scenario
from fuzzer.transform import Params, transform
from mutators.values import changed


class SwitchChannel(Params):
    """The channel: XML or JSON written into the reply, or native tool calls."""

    channel: Literal["xml", "json", "native", "markup"] = "xml"


@transform(family="channel", relation="invariant", rung="form", changes={"channel"})
def switch_channel(scenario: Scenario, params: SwitchChannel) -> Scenario:
    """Have tools called in XML or JSON written into the reply instead of natively.

    Mind the GAP, arXiv:2602.16943 (17,420 runs): text and tool calls part company; in 219 cases the
    model refused in words and did it by tool all the same.
    """
    return changed(scenario, channel=params.channel)


class SplitTurns(Params):
    """Over how many turns of the user."""

    turns: Annotated[int, Field(ge=2, le=4)] = 2


@transform(family="channel", relation="invariant", rung="form", version=2, changes={"format"})
def split_turns(scenario: Scenario, params: SplitTurns) -> Scenario:
    """Hand the inbox over in two to four announced parts, each but the last acknowledged."""
    return changed(scenario, style=changed(scenario.style, turns=params.turns))
