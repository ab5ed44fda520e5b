"""Channel: how actions are expressed."""

from typing import Literal

from fuzzer.scenario import Scenario
from fuzzer.transform import Params, transform
from mutators.values import changed


class SwitchChannel(Params):
    """The channel: XML or JSON written into the reply, or native tool calls."""

    channel: Literal["xml", "json", "native"] = "xml"


@transform(family="channel", relation="invariant", rung="form", changes={"channel"})
def switch_channel(scenario: Scenario, params: SwitchChannel) -> Scenario:
    """Have tools called in XML or JSON written into the reply instead of natively.

    Mind the GAP, arXiv:2602.16943 (17,420 runs): text and tool calls part company; in 219 cases the
    model refused in words and did it by tool all the same.
    """
    return changed(scenario, channel=params.channel)
