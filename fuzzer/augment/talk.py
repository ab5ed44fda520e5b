"""Transcripts as chat messages and back: what a trainer reads, and what a judge reads."""

from collections.abc import Sequence
from itertools import count

from fuzzer.augment.rows import Said, ToolCall
from fuzzer.environment import World, act
from fuzzer.tools import read_turn
from fuzzer.transcript import Action, Call, Stop, Transcript, Turn
from fuzzer.variant import Request, Variant


def opening(request: Request) -> tuple[Said, ...]:
    """What a subject is given, as messages; the system prompt first, if there is one."""
    system = (Said.of(role="system", content=request.system),) if request.system else ()
    return (*system, *(Said.of(role=m["role"], content=m["content"]) for m in request.messages))


def said_of(variant: Variant, transcript: Transcript) -> tuple[Said, ...]:
    """A performance as messages, from the subject's first to its last.

    The world answers anew: a native call gets an answer of its own, and what was written in the
    text is answered by a user's turn, as during a trial. Answers after the last turn are left out.
    """
    said: list[Said] = []
    pending: list[Said] = []
    world = variant.world
    serial = count(1)
    for turn in transcript.turns:
        if turn.role != "assistant":
            continue
        calls = tuple(Call(c.name, c.input, c.id or f"call_{next(serial)}") for c in turn.calls)
        named = Turn("assistant", turn.text, calls)
        world, answers = respond(variant, world, named)
        said += [*pending, _assistant(named)]
        pending = _answered(named, answers)
    return tuple(said)


def respond(variant: Variant, world: World, turn: Turn) -> tuple[World, list[str]]:
    """The world after everything attempted in a turn, and what it says to each attempt."""
    answers = []
    for action in read_turn(turn, variant.scenario.offered, variant.scenario.channel):
        world, answer = act(world, action)
        answers.append(answer)
    return world, answers


def _assistant(turn: Turn) -> Said:
    calls = tuple(ToolCall.of(id=c.id, name=c.name, arguments=c.input) for c in turn.calls)
    return Said.of(role="assistant", content=turn.text, tool_calls=calls)


def _answered(turn: Turn, answers: Sequence[str]) -> list[Said]:
    said = [
        Said.of(role="tool", content=answer, tool_call_id=call.id)
        for call, answer in zip(turn.calls, answers, strict=False)
    ]
    if written := answers[len(turn.calls) :]:
        said.append(Said.of(role="user", content="\n\n".join(written)))
    return said


def transcript_of(variant: Variant, messages: Sequence[Said], stop: Stop = "end") -> Transcript:
    """What a judge reads of a conversation: the assistant's turns with the actions in them.

    `messages` may begin with the prompt: what stands before it was answered by the request's own
    assistant turns is no performance and is passed over. `stop` is how it ended.
    """
    turns: list[Turn] = []
    actions: list[Action] = []
    for message in performed(variant, messages):
        if message.role != "assistant":
            if turns:
                turns.append(Turn("environment", message.content))
            continue
        calls = tuple(Call(c.name, c.arguments, c.id) for c in message.tool_calls)
        turn = Turn("assistant", message.content, calls)
        offered, channel = variant.scenario.offered, variant.scenario.channel
        actions += read_turn(turn, offered, channel, len(turns))
        turns.append(turn)
    return Transcript.of(turns=tuple(turns), actions=tuple(actions), stop=stop)


def performed(variant: Variant, messages: Sequence[Said]) -> Sequence[Said]:
    """The messages without the prompt they may begin with."""
    prompt = opening(variant.request)
    begins = [(m.role, m.content) for m in messages[: len(prompt)]]
    return messages[len(prompt) :] if begins == [(m.role, m.content) for m in prompt] else messages
