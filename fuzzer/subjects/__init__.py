"""Subjects: the things under test. `Subject` is the protocol every one satisfies."""

from typing import Protocol, runtime_checkable

from fuzzer.transcript import Transcript
from fuzzer.variant import Variant


@runtime_checkable
class Subject(Protocol):
    """A model behind an interface, any agent, or a model organism."""

    name: str

    async def act(self, variant: Variant, epoch: int) -> Transcript:
        """Face one variant once.

        What goes wrong on the way is part of the transcript (``stop="error"`` with a cause). Only
        what makes every further call pointless is raised, as `fuzzer.errors.ConfigurationError`.
        """
        ...


class Memory(Protocol):
    """The generations of one trial: what was paid for is not asked again after a kill."""

    @property
    def label(self) -> str:
        """Names the trial within its run."""
        ...

    def recall(self, number: int) -> str | None:
        """An earlier process's generation, if there is one."""
        ...

    def keep(self, number: int, raw: str) -> None:
        """Remember a generation that is not the last."""
        ...


@runtime_checkable
class Remembering(Subject, Protocol):
    """A subject of several generations a trial, which need not begin again after a kill."""

    async def converse(self, variant: Variant, epoch: int, memory: Memory) -> Transcript:
        """As `act`; generations that an earlier process paid for are in `memory`."""
        ...


def allow(subject: Subject, connections: int) -> None:
    """Tell a subject, or a model that judges, how many calls may fly."""
    if (gate := getattr(subject, "gate", None)) is not None:
        gate.allow(connections)


async def close(*used: object) -> None:
    """Let go of the connections of subjects and judges that hold any."""
    for one in used:
        if (ended := getattr(one, "close", None)) is not None:
            await ended()
