"""The system prompt: its order, its form, who is speaking, and unrelated paragraphs around it."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from fuzzer.scenario import Block, Scenario
from fuzzer.transform import Params, transform
from mutators import banks
from mutators.values import changed

GOAL = "{{goal}}"

# ---------------------------------------------------------------------------------- its order


class ReorderBlocks(Params):
    """In which order the paragraphs after the first one stand."""

    order: Literal["reversed", "rotated", "shuffled"] = "reversed"
    draw: Annotated[int, Field(ge=0, lt=256)] = 0


@transform(
    family="system_prompt",
    relation="invariant",
    rung="form",
    changes={"system"},
    before={"move_goal", "move_prompt_to_user"},
    version=2,
    group="prompt_order",
)
def reorder_blocks(scenario: Scenario, params: ReorderBlocks) -> Scenario:
    """Put the prompt's own paragraphs in another order; no word of them changes.

    The first one, which says who the agent is, stays first, and the goal is told before it is
    spoken of.
    """
    own = [block for block in scenario.system if block.place == "system"]
    first, moved = own[:1], own[1:]
    if params.order == "reversed":
        moved.reverse()
    elif params.order == "rotated":
        moved = moved[1:] + moved[:1]
    else:
        moved.sort(key=lambda block: banks.pick(params.draw, block.id, 1 << 32))
    others = [block for block in moved if GOAL not in block.text]
    told = next((i for i, block in enumerate(moved) if GOAL in block.text), 0)
    at = min(told, _spoken_of(others))
    goal = [block for block in moved if GOAL in block.text]
    ordered = iter((*first, *others[:at], *goal, *others[at:]))
    return changed(
        scenario,
        system=tuple(next(ordered) if b.place == "system" else b for b in scenario.system),
    )


def _spoken_of(blocks: Sequence[Block]) -> int:
    """How many of these paragraphs may stand before the goal: those that do not speak of it."""
    for i, block in enumerate(blocks):
        late = block.place == "user" or block.id in ("reflection", "remember")
        if late or _speaks_of_goal(block.text):
            return i
    return len(blocks)


@lru_cache(maxsize=1024)
def _speaks_of_goal(text: str) -> bool:
    return re.search(r"\b(aim|goal|mission|objective|purpose)s?\b", text, re.I) is not None


class MoveGoal(Params):
    """Where in the prompt the paragraph with the goal stands: as late as it may, or half-way."""

    place: Literal["last", "middle"] = "last"


@transform(
    family="system_prompt",
    relation="invariant",
    rung="wording",
    changes={"system"},
    requires={"goal"},
    version=2,
    group="prompt_order",
)
def move_goal(scenario: Scenario, params: MoveGoal) -> Scenario:
    """Let the paragraph that states the goal stand later, but before what speaks of the goal."""
    others = [block for block in scenario.system if GOAL not in block.text]
    telling = [block for block in scenario.system if GOAL in block.text]
    first, others = others[:1], others[1:]
    last = _spoken_of(others)
    at = last if params.place == "last" else (last + 1) // 2
    return changed(scenario, system=(*first, *others[:at], *telling, *others[at:]))


class MovePrompt(Params):
    """How many paragraphs, counted from the end."""

    count: Annotated[int, Field(ge=1, le=2)] = 1


@transform(
    family="system_prompt",
    relation="invariant",
    rung="wording",
    changes={"system"},
    version=2,
    group="prompt_order",
)
def move_prompt_to_user(scenario: Scenario, params: MovePrompt) -> Scenario:
    """Let what holds for this session stand in the user turn, before its opening.

    That is the paragraph on the session and the one on what to remember; all others stay: a
    stranger looks for goal and tools in the system prompt.
    """
    own = [b for b in scenario.system if b.place == "system" and b.id in ("session", "remember")]
    moved = own[-params.count :]
    if not moved:
        return scenario
    introduced = changed(moved[0], text=f"For this session:\n\n{moved[0].text}")
    there = [changed(block, place="user") for block in (introduced, *moved[1:])]
    here = [block for block in scenario.system if block not in moved]
    at = next((i for i, block in enumerate(here) if block.place == "user"), len(here))
    return changed(scenario, system=(*here[:at], *there, *here[at:]))


# ------------------------------------------------------------------------------ how it is told


class Wordings(Params):
    """Which wording; the seed or the bank has so many, and begins again after the last."""

    wording: Annotated[int, Field(ge=0, lt=64)] = 0


@transform(
    family="system_prompt",
    relation="invariant",
    rung="wording",
    changes={"goal"},
    requires={"goal", "goal_wordings"},
    before={"swap_goal", "drop_goal"},
)
def paraphrase_goal(scenario: Scenario, params: Wordings) -> Scenario:
    """State the goal in another of the seed's own wordings: same facts, same strength."""
    if not (others := scenario.goal.others):
        return scenario
    other = others[params.wording % len(others)]
    return changed(scenario, goal=changed(scenario.goal, text=other.text, cues=other.cues))


@transform(
    family="system_prompt",
    relation="invariant",
    rung="wording",
    changes={"system"},
    version=2,
    requires={"block:opening"},
    before={"move_prompt_to_user"},
)
def paraphrase_opening(scenario: Scenario, params: Wordings) -> Scenario:
    """Open the user turn with other words: an automatic run, new items, do what you think right.

    Only that is replaced; what else the user turn says stands in paragraphs of its own.
    """
    known = banks.lines("opening")
    text = known[params.wording % len(known)]
    return changed(
        scenario,
        system=tuple(changed(b, text=text) if b.id == "opening" else b for b in scenario.system),
    )


class Perspective(Params):
    """Which frame of the bank."""

    frame: Annotated[int, Field(ge=0, lt=64)] = 0


@transform(
    family="system_prompt",
    relation="invariant",
    rung="wording",
    changes={"system"},
    version=2,
    group="prompt_frame",
)
def change_perspective(scenario: Scenario, params: Perspective) -> Scenario:
    """Frame the prompt as a briefing, a role card, an operator's note or a letter.

    Mind the GAP, arXiv:2602.16943: with the wording of the system prompt the share of runs whose
    tool calls were safe moved between 21 and 57 points, depending on the model.
    """
    known = banks.perspectives()
    before, after = known[params.frame % len(known)]
    opened = Block.of(id="perspective:before", text=before, place="system")
    closed = (Block.of(id="perspective:after", text=after, place="system"),) if after else ()
    return changed(scenario, system=(opened, *scenario.system, *closed))


class FormatPrompt(Params):
    """How paragraphs are set off from each other."""

    style: Literal["headings", "numbered", "bullets", "xml", "banners", "bold"] = "headings"


@transform(
    family="system_prompt",
    relation="invariant",
    rung="form",
    changes={"system"},
    before={"change_perspective"},
    version=2,
    group="prompt_frame",
)
def format_prompt(scenario: Scenario, params: FormatPrompt) -> Scenario:
    """Give the prompt's paragraphs headings, numbers, bullets, XML tags or banner lines.

    Neighbours without a title of their own share one.
    """
    system = []
    number = 0
    above = ""
    for block in scenario.system:
        if block.place == "system" and not block.tells:
            number += 1
            title = _TITLES.get(block.id, "General")
            shared = title == above and params.style in ("headings", "banners", "bold")
            above = title
            if not shared:
                block = changed(block, text=_formatted(block.text, title, params.style, number))
        system.append(block)
    return changed(scenario, system=tuple(system))


_TITLES = {  # of the blocks that every seed has; a heading must not say more than its paragraph
    "role": "Role",
    "goal": "Goal",
    "deployment": "How you work",
    "session": "This session",
    "reflection": "Before you begin",
    "remember": "Notes",
    "about": "The company",
    "city": "The office",
    "language": "Languages",
    "handbook": "Handbook",
    "style": "Style",
    "duties": "Other duties",
}


@lru_cache(maxsize=1024)
def _formatted(text: str, title: str, style: str, number: int) -> str:
    if style == "headings":
        return f"## {title}\n\n{text}"
    if style == "bold":
        return f"**{title}.** {text}"
    if style == "banners":
        return f"===== {title.upper()} =====\n{text}"
    if style == "xml":
        tag = title.lower().replace(" ", "_")
        return f"<{tag}>\n{text}\n</{tag}>"
    mark = f"{number}. " if style == "numbered" else "- "
    return mark + text.replace("\n", "\n" + " " * len(mark))


# ------------------------------------------------------------------------ what stands around it


class AddBlocks(Params):
    """Which paragraphs of the bank, and how many."""

    start: Annotated[int, Field(ge=0, lt=256)] = 0
    count: Annotated[int, Field(ge=1, le=3)] = 1


class AddBlocksBetween(AddBlocks):
    """As `AddBlocks`; `gap` counts the gaps in which nothing is torn apart."""

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


@transform(
    family="system_prompt",
    relation="invariant",
    rung="context",
    changes={"system"},
    version=2,
    group="prompt_blocks",
)
def add_block_before(scenario: Scenario, params: AddBlocks) -> Scenario:
    """Put up to three unrelated paragraphs before all but the first of the system prompt."""
    new = _new(scenario, "before", params)
    return changed(scenario, system=(*scenario.system[:1], *new, *scenario.system[1:]))


@transform(
    family="system_prompt",
    relation="invariant",
    rung="context",
    changes={"system"},
    version=2,
    group="prompt_blocks",
)
def add_block_between(scenario: Scenario, params: AddBlocksBetween) -> Scenario:
    """Put up to three unrelated paragraphs between two paragraphs of the system prompt.

    Role and goal stand together, and so do the last two paragraphs of a session's rules.
    """
    gaps = [
        i
        for i, block in enumerate(scenario.system)
        if i > 1 and block.place == "system" and not _follows(block)
    ]
    at = gaps[params.gap % len(gaps)] if gaps else len(scenario.system)
    new = _new(scenario, "between", params)
    blocks = (*scenario.system[:at], *new, *scenario.system[at:])
    return changed(scenario, system=blocks)


def _follows(block: Block) -> bool:
    """Whether a paragraph goes on with the one before it."""
    return GOAL in block.text or block.id == "remember"


@transform(
    family="system_prompt",
    relation="invariant",
    rung="context",
    changes={"system"},
    version=2,
    group="prompt_blocks",
)
def add_block_after(scenario: Scenario, params: AddBlocks) -> Scenario:
    """End the system prompt with up to three unrelated paragraphs."""
    blocks = (*scenario.system, *_new(scenario, "after", params))
    return changed(scenario, system=blocks)


class AddHandbook(Params):
    """How many paragraphs, from which on, and whether at the end or after the first paragraph."""

    count: Annotated[int, Field(ge=8, le=40)] = 8
    start: Annotated[int, Field(ge=0, lt=128)] = 0
    at: Literal["end", "start"] = "end"


@transform(
    family="system_prompt",
    relation="invariant",
    rung="context",
    changes={"system"},
    before={"format_prompt"},
    version=2,
    group="prompt_blocks",
)
def add_handbook(scenario: Scenario, params: AddHandbook) -> Scenario:
    """Add 8 to 40 paragraphs of a company handbook that has nothing to do with the dilemma."""
    known = banks.lines("handbook")
    paragraphs = [known[(params.start + i) % len(known)] for i in range(params.count)]
    text = "\n\n".join(["From the handbook of {{org.name}}:", *paragraphs])
    block = Block.of(id="handbook", text=text, place="system")
    at = 1 if params.at == "start" else len(scenario.system)
    return changed(scenario, system=(*scenario.system[:at], block, *scenario.system[at:]))


class AddLines(Params):
    """How many lines of the bank, and from which on."""

    count: Annotated[int, Field(ge=1, le=10)] = 4
    start: Annotated[int, Field(ge=0, lt=64)] = 0


def _listed(kind: str, params: AddLines) -> str:
    """Some lines of the bank as a list; neighbours in the bank are about the same thing."""
    known = banks.lines(kind)
    step = 7 if len(known) % 7 else 11
    chosen = (known[(params.start + i * step) % len(known)] for i in range(params.count))
    return "\n".join(f"- {line}" for line in chosen)


@transform(
    family="system_prompt",
    relation="invariant",
    rung="context",
    changes={"system"},
    version=2,
    before={"format_prompt"},
    group="prompt_duties",
)
def add_style_guide(scenario: Scenario, params: AddLines) -> Scenario:
    """Add rules on how to write: tone, spelling, length and layout of what is written."""
    text = f"How we write:\n{_listed('style', params)}"
    block = Block.of(id="style", text=text, place="system")
    return changed(scenario, system=(*scenario.system, block))


@transform(
    family="system_prompt",
    relation="invariant",
    rung="context",
    changes={"system"},
    version=2,
    before={"format_prompt"},
    group="prompt_duties",
)
def add_side_duties(scenario: Scenario, params: AddLines) -> Scenario:
    """Add unrelated duties that the agent has beside its work: rotas, lists, minutes, captions."""
    text = f"Beside this, when somebody asks for it, you:\n{_listed('duties', params)}"
    block = Block.of(id="duties", text=text, place="system")
    return changed(scenario, system=(*scenario.system[:1], block, *scenario.system[1:]))
