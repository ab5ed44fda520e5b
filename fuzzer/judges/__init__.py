"""Judges: from a transcript to a verdict. `Judge` is the protocol every one satisfies."""

from typing import Protocol, runtime_checkable

from fuzzer.records import Verdict
from fuzzer.transcript import Transcript, Usage
from fuzzer.variant import Variant


@runtime_checkable
class Judge(Protocol):
    """Decides what a transcript shows. A judge never raises for what a subject did.

    One that needs an event loop says so with a class attribute ``waits = True``: a run then holds
    variants to their controls by the rules, and the judge itself on a sample (`fuzzer.holding`).
    """

    name: str
    version: int

    async def judge(self, variant: Variant, transcript: Transcript) -> Verdict:
        """The verdict on one transcript of one variant."""
        ...


@runtime_checkable
class Held(Judge, Protocol):
    """A judge that is held to the controls of a sample of variants while a run goes on."""

    def holds_here(self, variant: Variant) -> bool:
        """Whether this variant is in the sample: a function of the variant alone."""
        ...

    async def miscalled(self, variant: Variant) -> tuple[str, dict[str, Usage]]:
        """Which control it calls wrong there, as the end of a sentence ("" if none); tokens used.

        By the name of each model that was asked.
        """
        ...
