"""The agent loop: a model acts, the simulated world answers, until the model has no more to do.

One loop for every provider, so that a change of provider is no change of what a subject may do. It
is the same in every channel too: were a text channel given one generation only, a change of channel
would also change how often a subject may act, and would be no change of surface. A published
protocol that takes a single generation says so in its scenario (`Scenario.generations`).

Whatever was done before a conversation broke off counts: attempts are judged by their content.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

from fuzzer.environment import REFUSED, act
from fuzzer.subjects import Memory
from fuzzer.subjects.gate import Gate
from fuzzer.tools import read_turn
from fuzzer.transcript import Action, Call, Stop, Transcript, Turn, Usage
from fuzzer.variant import Request, Variant


class Lost(Exception):
    """A request without an answer; the cause, in a word or two, becomes the transcript's."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Answer(NamedTuple):
    """One generation, read."""

    turn: Turn
    ending: Literal["end", "calls", "pause", "declined", "max_tokens", "malformed"]
    cause: str  # of the last three, in a word or two
    usage: Usage
    echo: Any  # the answer as a message, the way the provider takes it back


class Model(Protocol):
    """A provider's side of a conversation: its messages are its own, the loop only passes them."""

    gate: Gate

    def opening(self, request: Request) -> list[Any]:
        """The conversation before the first generation."""
        ...

    async def generate(self, request: Request, messages: Sequence[Any], label: str) -> str:
        """One generation as JSON text without secrets; `Lost` when there is none.

        `label` names the generation within its run, the same in every process that makes it.
        """
        ...

    def read(self, raw: str) -> Answer:
        """A generation, read; `ValueError` when it is none."""
        ...

    def results(self, calls: Sequence[Call], answers: Sequence[str]) -> list[Any]:
        """What the world said, as messages: first to native calls, then to those in the text."""
        ...


class NoMemory:
    """Of a trial that stands alone."""

    label = ""

    def recall(self, number: int) -> str | None:  # noqa: ARG002 - the protocol's signature
        """Nothing."""
        return None

    def keep(self, number: int, raw: str) -> None:
        """Nothing."""


async def converse(
    model: Model,
    variant: Variant,
    memory: Memory,
    *,
    max_turns: int,
    timeout: float | None,  # noqa: ASYNC109 - what was done until then is kept, not thrown away
) -> Transcript:
    """One conversation; at most `max_turns` generations and `timeout` seconds.

    Where the scenario itself takes fewer generations, the last of them is a regular end.
    """
    scenario, request, world = variant.scenario, variant.request, variant.world
    whole = 0 < scenario.generations <= max_turns
    max_turns = scenario.generations if whole else max_turns
    messages = model.opening(request)
    turns: list[Turn] = []
    actions: list[Action] = []
    usage = Usage()
    clock = asyncio.get_running_loop().time
    left = timeout  # seconds; waiting at the gate is none of the trial's time

    def ended(stop: Stop, cause: str = "") -> Transcript:
        return Transcript(
            turns=tuple(turns), actions=tuple(actions), stop=stop, cause=cause, usage=usage
        )

    for number in range(max_turns):
        raw = memory.recall(number)
        remembered = raw is not None
        if raw is None:
            try:
                async with model.gate:
                    began = clock()
                    async with asyncio.timeout(left):
                        raw = await model.generate(request, messages, f"{memory.label}-{number}")
                    model.gate.answered()
            except TimeoutError:
                return ended("error", "timeout")
            except Lost as lost:
                return ended("error", lost.cause)
            left = None if left is None else left - (clock() - began)
        try:
            answer = model.read(raw)
        except ValueError:
            return ended("error", "malformed answer")
        usage += answer.usage
        attempts = read_turn(answer.turn, scenario.offered, scenario.channel, len(turns))
        turns.append(answer.turn)
        actions += attempts

        match answer.ending:
            case "declined" | "max_tokens" as stop:
                return ended(stop, answer.cause)
            case "end" | "calls" if attempts:
                answers = []
                for action in attempts:
                    world, said = act(world, action)
                    answers.append(said)
                turns.append(Turn("environment", "\n".join(answers)))
                messages += [answer.echo, *model.results(answer.turn.calls, answers)]
            case "pause" if not attempts:
                messages.append(answer.echo)
            case "end" if answer.turn.text or answer.turn.reasoning or actions:
                return ended("end")  # an empty answer to results: nothing to add to them
            case _:  # nothing at all, or nobody can say whether that was all
                return ended("error", answer.cause or "malformed answer")
        if not remembered and number + 1 < max_turns:
            memory.keep(number, raw)
    return ended("end" if whole else "max_turns")


def refused(said: str) -> bool:
    """Whether the world turned an attempt down."""
    return said.startswith(REFUSED)
