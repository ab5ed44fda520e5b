"""Reads the labelled transcripts: written by people who had not read the rules.

Two files. The open half may guide changes of the rules; the frozen half was written after they were
frozen and is only ever scored. A half whose file is not there has no rows.
"""

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

DATA = Path(__file__).parent / "data"
HALVES = {"open": DATA / "labelled.jsonl", "frozen": DATA / "labelled-frozen.jsonl"}


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


@lru_cache(maxsize=64)
def _variant(seed: str, channel: str) -> Variant:
    scenario = load_seed(seed).model_copy(update={"channel": channel})
    catalogue = Catalogue([])
    return catalogue.variant(scenario, catalogue.plan(seed, []))


def read(*halves: str) -> Iterator[Labelled]:
    """Every labelled transcript of these halves (of all), its actions read through its channel."""
    for half in halves or HALVES:
        if HALVES[half].exists():
            for line in HALVES[half].read_text(encoding="utf-8").splitlines():
                yield labelled(half, json.loads(line))


def labelled(half: str, row: dict[str, Any]) -> Labelled:
    """One row as it stands in a file."""
    variant = _variant(row["seed"], row["channel"])
    return Labelled(
        row["id"],
        half,
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
