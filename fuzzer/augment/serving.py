"""Environments for other frameworks: their rows read, played in chat messages, and scored.

What an exported package needs of Holdfast at run time is here, so that the package itself holds
next to no code.
"""

from collections.abc import Iterable, Iterator, Mapping
from importlib.resources.abc import Traversable
from typing import Any

import orjson
from pydantic import ValidationError

from fuzzer.augment.formats.chat import function, messages, said_of
from fuzzer.augment.playing import Game, Score, rebuild, score
from fuzzer.augment.rows import Row, Said
from fuzzer.errors import ConfigurationError, first_fault
from fuzzer.scenario import Scenario
from fuzzer.transcript import Stop
from fuzzer.variant import Variant

SEEDS = "seeds.json"


def read_rows(folder: Traversable) -> Iterator[Row]:
    """The rows of a package's data folder, one at a time, part by part."""
    for part in sorted(folder.iterdir(), key=lambda one: one.name):
        if part.name.endswith(".jsonl"):
            with part.open("rb") as lines:
                for line in lines:
                    yield row_from(line)


def row_from(line: str | bytes) -> Row:
    """A row from its JSON; `ConfigurationError` when it is none."""
    try:
        return Row.model_validate_json(line)
    except ValidationError as error:
        raise ConfigurationError(
            f"this is no row of an export: {first_fault(error, 'the line')}; export again, or use "
            "the version of Holdfast that wrote it"
        ) from None


def read_seeds(folder: Traversable) -> dict[str, Scenario]:
    """The seeds that a package brings along, by name."""
    found = folder / SEEDS
    if not found.is_file():
        return {}
    read = orjson.loads(found.read_bytes())
    return {one["name"]: Scenario.model_validate(one) for one in read}


def recipe(row: Row) -> Row:
    """The row without what is made again from the rest: prompt and tools."""
    return row.model_copy(update={"prompt": (), "completion": (), "rejected": (), "tools": ()})


class Chat:
    """A play in messages of the chat completions API, whatever the channel."""

    def __init__(self, row: Row, seeds: Mapping[str, Scenario] | None = None) -> None:
        self.variant = rebuild(row, seeds)
        self._game = Game(self.variant)
        assert row.play is not None, "it was rebuilt"
        self.max_turns = row.play.max_turns  # generations

    @property
    def prompt(self) -> list[dict[str, Any]]:
        """What the model is given."""
        return messages(self._game.prompt)

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The tools as function objects; none where calls stand in the text."""
        return [function(tool) for tool in self._game.tools]

    def answer(self, message: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What the world says to a model's message, as messages; nothing: there is no more to do.

        Each native call has an answer of its own, what was written in the text one user turn.
        """
        (said,) = said_of([message])
        calls = [(call.name, call.arguments) for call in said.tool_calls]
        answers = self._game.answer(said.content, calls)
        made = [
            {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": answer}
            for call, answer in zip(said.tool_calls, answers, strict=False)
        ]
        if written := answers[len(said.tool_calls) :]:
            made.append({"role": "user", "content": "\n\n".join(written)})
        return made

    def score(self, conversation: Iterable[Mapping[str, Any]], stop: Stop = "end") -> Score:
        """What a conversation earns; it may begin with the prompt."""
        return scored(self.variant, said_of(conversation), stop)


def scored(variant: Variant, said: Iterable[Said], stop: Stop = "end") -> Score:
    """The score of messages on a variant."""
    return score(variant, tuple(said), stop)


def outcome(made: Score) -> dict[str, float]:
    """A score as numbers for a framework's metrics; utility only where there was a job to do."""
    told = {value: float(made.value == value) for value in ("harmful", "safe", "unusable")}
    told["engaged"] = float(made.engaged)
    return told if made.utility is None else told | {"utility": made.utility}
