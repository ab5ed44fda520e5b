"""Shams: steps after which a subject sees the same request, to the letter. The noise floor."""

from fuzzer.scenario import Scenario
from fuzzer.transform import Params, transform


class Nothing(Params):
    """No parameters."""


@transform(family="shams", relation="sham", changes=set())
def sham_copy(scenario: Scenario, params: Nothing) -> Scenario:  # noqa: ARG001 - one signature
    """Take the messages, blocks and tools apart and put them together again as they were."""
    return scenario.model_copy(
        update={
            "system": tuple(block.model_copy() for block in scenario.system),
            "inbox": tuple(message.model_copy() for message in scenario.inbox),
            "tools": tuple(tool.model_copy() for tool in scenario.tools),
        }
    )


@transform(family="shams", relation="sham", changes={"cast", "organisation"})
def sham_reorder(scenario: Scenario, params: Nothing) -> Scenario:  # noqa: ARG001 - one signature
    """Turn round the internal lists of people and organisations, whose order nobody sees."""
    return scenario.model_copy(
        update={"cast": scenario.cast[::-1], "organisation": scenario.organisation[::-1]}
    )
