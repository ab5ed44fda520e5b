"""The system prompt: paragraphs around the dilemma that have nothing to do with it."""

from typing import Annotated

from pydantic import Field

from fuzzer.scenario import Block, Scenario
from fuzzer.transform import Params, transform
from mutators import banks
from mutators.values import changed


class AddBlocks(Params):
    """Which paragraphs of the bank, and how many."""

    start: Annotated[int, Field(ge=0, lt=256)] = 0
    count: Annotated[int, Field(ge=1, le=3)] = 1


class AddBlocksBetween(AddBlocks):
    """As `AddBlocks`; `gap` counts the gaps between the seed's own paragraphs."""

    gap: Annotated[int, Field(ge=0, lt=8)] = 0


def _new(scenario: Scenario, place: str, params: AddBlocks) -> tuple[Block, ...]:
    """Blocks of the bank that the prompt does not hold yet."""
    present = {block.text for block in scenario.system}
    bank = banks.blocks()
    step = 17 if len(bank) % 17 else 19  # neighbours in the bank are about the same thing
    numbers = ((params.start + i * step) % len(bank) for i in range(params.count))
    return tuple(
        Block.of(id=f"{place}:{number}", text=bank[number], place="system")
        for number in numbers
        if bank[number] not in present
    )


@transform(family="system_prompt", relation="invariant", rung="context", changes={"system"})
def add_block_before(scenario: Scenario, params: AddBlocks) -> Scenario:
    """Open the system prompt with up to three unrelated paragraphs."""
    blocks = (*_new(scenario, "before", params), *scenario.system)
    return changed(scenario, system=blocks)


@transform(family="system_prompt", relation="invariant", rung="context", changes={"system"})
def add_block_between(scenario: Scenario, params: AddBlocksBetween) -> Scenario:
    """Put up to three unrelated paragraphs between two paragraphs of the system prompt."""
    own = [i for i, block in enumerate(scenario.system) if block.place == "system"]
    at = own[1 + params.gap % (len(own) - 1)] if len(own) > 1 else len(scenario.system)
    new = _new(scenario, "between", params)
    blocks = (*scenario.system[:at], *new, *scenario.system[at:])
    return changed(scenario, system=blocks)


@transform(family="system_prompt", relation="invariant", rung="context", changes={"system"})
def add_block_after(scenario: Scenario, params: AddBlocks) -> Scenario:
    """End the system prompt with up to three unrelated paragraphs."""
    blocks = (*scenario.system, *_new(scenario, "after", params))
    return changed(scenario, system=blocks)
