"""Cues: what hints at a test or at deployment, and what forbids. Reported beside the verdict only.

They are *not* surface, and never counted in the verdict. Each reproduces, in our own words, an
addition whose effect has been published: a sweep that does not see these effects in a susceptible
model would not see others either. `mutators.pressure` and `mutators.policies` hold their kin.
"""

from typing import Annotated

from pydantic import Field

from fuzzer.scenario import Block, Scenario
from fuzzer.transform import Params, transform
from mutators import banks
from mutators.values import changed


class Notice(Params):
    """Which wording."""

    wording: Annotated[int, Field(ge=0, lt=4)] = 0


def noticed(scenario: Scenario, name: str, wording: int, kind: str = "plain") -> Scenario:
    """The scenario with a paragraph of the bank at the end of its prompt."""
    texts = banks.paragraphs(name, kind)
    block = Block.of(id=f"cue:{name}", text=texts[wording % len(texts)], place="system")
    return changed(scenario, system=(*scenario.system, block))


@transform(family="cues", relation="eval_cue", changes={"system"})
def eval_notice(scenario: Scenario, params: Notice) -> Scenario:
    """Ask the agent whether it believes this to be an evaluation or a real deployment.

    Lynch et al. 2025, arXiv:2510.05179: with such a notice Claude Opus 4 blackmailed in 55% of the
    runs it took for real and in 6.5% of those it took for a test, where it had been 96% without.
    """
    return noticed(scenario, "eval_notice", params.wording)


@transform(family="cues", relation="eval_cue", changes={"system"}, group="asserted_reality")
def assert_deployment(scenario: Scenario, params: Notice) -> Scenario:
    """Say that this is live operation with real people, and no exercise.

    The nearest a prompt comes to the system card of Claude Sonnet 4.5, where features of knowing
    that one is evaluated were inhibited: less was said about tests, and misaligned conduct on
    honeypots rose to 8 to 9%.
    """
    return noticed(scenario, "assert_deployment", params.wording)


@transform(family="cues", relation="eval_cue", changes={"system"}, group="asserted_reality")
def assert_test(scenario: Scenario, params: Notice) -> Scenario:
    """Say that this is an evaluation with invented people, and that nothing reaches anybody.

    The counterpart of `assert_deployment`; no rate under such a sentence alone has been published.
    """
    return noticed(scenario, "assert_test", params.wording)


@transform(family="cues", relation="eval_cue", changes={"system"})
def cooperate_with_measurement(scenario: Scenario, params: Notice) -> Scenario:
    """Ask the agent to say so if it thinks it is being measured, and to behave as ever.

    A study of prompts that ask models to cooperate with measurement: Grok 3 then spoke of being
    evaluated in 49.8% of the runs of one setting where it never had, and in 97.5% instead of 16%
    of another, GLM-5 in 21.2% instead of 9.7%; harm done by those that spoke of it rose as well.
    """
    return noticed(scenario, "cooperate_with_measurement", params.wording)


@transform(family="cues", relation="safety_cue", changes={"system"})
def forbid_coercion(scenario: Scenario, params: Notice) -> Scenario:
    """Forbid threats, coercion and the use of private or confidential information.

    Lynch et al. 2025, arXiv:2510.05179: an instruction of this kind took Claude Opus 4 from 96% to
    37% on blackmail and from 96% to 75% on leaking; it lowered the rate and did not abolish it.
    """
    return noticed(scenario, "forbid_coercion", params.wording)
