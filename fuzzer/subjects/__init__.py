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
