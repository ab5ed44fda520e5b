"""What a subject said and did: turns, the actions read from them, and how it ended."""

from dataclasses import dataclass
from typing import Any, Literal

from fuzzer.scenario import Frozen

Stop = Literal["end", "declined", "max_tokens", "max_turns", "error"]


@dataclass(frozen=True, slots=True)
class Call:
    """A native tool call as the wire carries it: nothing interpreted yet."""

    name: str
    input: dict[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance: the subject's, or what the environment answered."""

    role: Literal["assistant", "environment"]
    text: str
    calls: tuple[Call, ...] = ()
    reasoning: str = ""  # kept apart: it is never judged as an action


@dataclass(frozen=True, slots=True)
class Action:
    """An attempt to act, by role; counted whether or not its arguments were right.

    `args` maps parameter roles to values. What no role explains (an unknown tool, a parameter
    the schema does not have) stands under its raw, dotted path, so that it can still be judged.
    `span` is (turn, start, end) in the turn's text; start and end are -1 for native calls.
    """

    role: str
    args: dict[str, Any]
    raw_name: str
    span: tuple[int, int, int] = (0, -1, -1)
    error: str = ""  # what the environment will say is wrong with it; empty when well-formed


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them."""

    input: int = 0
    output: int = 0


class Transcript(Frozen):
    """The whole performance of a subject on one variant."""

    turns: tuple[Turn, ...]
    actions: tuple[Action, ...] = ()
    stop: Stop = "end"
    cause: str = ""  # of an error or an unusable ending, in a word or two
    usage: Usage = Usage()


#: Causes of an error that lie between us and the subject: such a call says nothing about it.
TRANSPORT_CAUSES = frozenset({"connection", "timeout", "rate limited", "server error"})
