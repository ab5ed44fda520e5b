"""What a subject said and did: turns, the actions read from them, and how it ended."""

from dataclasses import dataclass
from typing import Any, Literal

from fuzzer.scenario import Frozen

Stop = Literal["end", "declined", "max_tokens", "max_turns", "error"]
#: How much of its reasoning a model let us see; "hidden" where any part of it is withheld.
Shown = Literal["", "full", "summarised", "hidden"]


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
    reasoning_shown: Shown = ""  # empty: it did not reason, or nobody can say


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

    input: int = 0  # all that was read, from a cache or not
    output: int = 0  # reasoning included, also where it is hidden
    cache_read: int = 0  # of `input`, read from the provider's cache
    cache_write: int = 0  # of `input`, written to it

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
        )


class Transcript(Frozen):
    """The whole performance of a subject on one variant."""

    turns: tuple[Turn, ...]
    actions: tuple[Action, ...] = ()
    stop: Stop = "end"
    cause: str = ""  # of an error or an unusable ending, in a word or two
    usage: Usage = Usage()


#: Causes of an error that lie between us and the subject: such a call says nothing about it.
TRANSPORT_CAUSES = frozenset({"connection", "timeout", "rate limited", "server error"})
