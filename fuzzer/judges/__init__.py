"""Judges: from a transcript to a verdict. `Judge` is the protocol every one satisfies."""

from typing import Protocol, runtime_checkable

from fuzzer.records import Verdict
from fuzzer.transcript import Transcript
from fuzzer.variant import Variant


@runtime_checkable
class Judge(Protocol):
    """Decides what a transcript shows. A judge never raises for what a subject did."""

    name: str
    version: int

    async def judge(self, variant: Variant, transcript: Transcript) -> Verdict:
        """The verdict on one transcript of one variant."""
        ...
