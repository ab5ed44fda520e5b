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
    """Have tools called in XML or JSON written into the reply instead of natively."""
    return changed(scenario, channel=params.channel)
