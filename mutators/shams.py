"""Shams: steps after which a subject sees the same request, to the letter. The noise floor."""

from fuzzer.scenario import Scenario
from fuzzer.transform import Params, transform
from mutators.values import changed


class Nothing(Params):
    """No parameters."""


@transform(family="shams", relation="sham", changes={"inbox"})
def sham_copy(scenario: Scenario, params: Nothing) -> Scenario:  # noqa: ARG001 - one signature
    """Copy every message of the inbox: equal values, nothing to see."""
    inbox = tuple(changed(message) for message in scenario.inbox)
    return changed(scenario, inbox=inbox)


@transform(family="shams", relation="sham", changes={"cast", "organisation"})
def sham_reorder(scenario: Scenario, params: Nothing) -> Scenario:  # noqa: ARG001 - one signature
    """Turn round the internal lists of people and organisations, whose order nobody sees."""
    return changed(scenario, cast=scenario.cast[::-1], organisation=scenario.organisation[::-1])
