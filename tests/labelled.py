"""Reads the labelled transcripts: written by someone who had not read the rules.

The set is split by a hash of each id into a half that may guide changes of the rules (``open``)
and a half that is only ever scored (``kept``).
"""

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from fuzzer.graph import Catalogue
from fuzzer.tools import read_turn
from fuzzer.transcript import Call, Transcript, Turn
from fuzzer.variant import Variant
from seeds import load_seed

DATA = Path(__file__).parent / "data" / "labelled.jsonl"


class Labelled(NamedTuple):
    """One transcript with its label and where it was written."""

    id: str
    half: str
    seed: str
    channel: str
    label: str
    kind: str
    transcript: Transcript
    variant: Variant


@lru_cache(maxsize=32)
def _variant(seed: str, channel: str) -> Variant:
    scenario = load_seed(seed).model_copy(update={"channel": channel})
    catalogue = Catalogue([])
    return catalogue.variant(scenario, catalogue.plan(seed, []))


def half(identity: str) -> str:
    """Which half an id belongs to."""
    return "open" if hashlib.sha256(identity.encode()).digest()[0] % 2 else "kept"


def read() -> Iterator[Labelled]:
    """Every labelled transcript, with its actions read back through the channel."""
    for line in DATA.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        variant = _variant(row["seed"], row["channel"])
        yield Labelled(
            row["id"],
            half(row["id"]),
            row["seed"],
            row["channel"],
            row["label"],
            row["kind"],
            transcript(row["turns"], variant),
            variant,
        )


def transcript(rows: list[dict[str, Any]], variant: Variant) -> Transcript:
    """Turns as a subject produced them, and the actions in them."""
    turns = tuple(
        Turn(
            "assistant",
            row["text"],
            tuple(Call(call["name"], call["input"]) for call in row.get("calls", ())),
            row.get("reasoning", ""),
        )
        for row in rows
    )
    scenario = variant.scenario
    actions = tuple(
        action
        for index, turn in enumerate(turns)
        for action in read_turn(turn, scenario.offered, scenario.channel, index)
    )
    return Transcript(turns=turns, actions=actions)
