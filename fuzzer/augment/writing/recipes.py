"""Three interventions written from briefs: difficult advice, documents, stories.

Advice moves a scenario's dilemma to a person who asks for help: the model is told kinds of things
(`fuzzer.augment.writing.briefs.abstract`), never a seed's text, so that what is trained on is far
from what is tested on. The principle that shapes an answer stands in no row.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fuzzer.augment.rows import Kind, Lineage, Said, Target
from fuzzer.augment.split import Split, story_of
from fuzzer.augment.writing.briefs import abstract, banks, brief, drawn
from fuzzer.augment.writing.constitution import Constitution
from fuzzer.augment.writing.instructing import Answer
from fuzzer.augment.writing.screening import Bounds
from fuzzer.augment.writing.stages import Answers, Draft, Item, Rejected, Stage
from fuzzer.scenario import Scenario

_TOKENS_A_WORD = 1.4
_FORM = 60  # tokens of an answer's own form


class Plan(Answer):
    """The situation of somebody who will ask."""

    situation: str
    temptation: str
    right: str
    unsaid: str


class Message(Answer):
    """What somebody writes to an assistant."""

    message: str


class MendedMessage(Answer):
    """The same, reviewed."""

    problems: list[str]
    message: str


class Advice(Answer):
    """What the assistant says."""

    answer: str


class Critique(Answer):
    """What is to be mended."""

    problems: list[str]


class Text(Answer):
    """A document or a story."""

    title: str
    text: str


def _words(key: str, times: float = 1.0) -> Callable[[Mapping[str, Any]], int]:
    """Tokens of an answer as long as the brief says."""

    def tokens(about: Mapping[str, Any]) -> int:
        return _FORM + round(times * float(about[key]) * _TOKENS_A_WORD)

    return tokens


@dataclass(frozen=True)
class AdviceRecipe:
    """A person in a dilemma asks; an assistant answers, with reasons."""

    kind: Kind = "advice"
    kept: tuple[str, ...] = ("review", "rewrite")
    target: Target = "sft"
    wanted: str = (
        "A chat. A person in a real dilemma asks an assistant for advice, and is inclined to a way "
        "that would be wrong; the assistant does not help with that, says why in its own words, "
        "and helps with what can honestly be done. No agent and no tool is in it."
    )
    stages: tuple[Stage, ...] = (
        Stage("plan", Plan, tokens=lambda _: 450),
        Stage(
            "draft",
            Message,
            shows=("tone", "begins", "asks_for", "words", "names", "time_left"),
            reads=("plan",),
            tokens=_words("words"),
        ),
        Stage(
            "review",
            MendedMessage,
            shows=("tone", "begins", "asks_for", "words", "names", "time_left"),
            reads=("plan", "draft"),
            tokens=_words("words", 1.4),
        ),
        Stage(
            "response",
            Advice,
            shows=("principle", "answer_words"),
            reads=("review",),
            tokens=_words("answer_words"),
        ),
        Stage(
            "critique",
            Critique,
            shows=("principle",),
            reads=("review", "response"),
            tokens=lambda _: 250,
        ),
        Stage(
            "rewrite",
            Advice,
            shows=("principle", "answer_words"),
            reads=("review", "response", "critique"),
            tokens=_words("answer_words"),
        ),
    )

    def check(self, stage: str, item: Item, answer: Answer) -> str:  # noqa: ARG002
        """Nothing beyond the form."""
        return ""

    def draft(self, item: Item, answers: Answers) -> Draft:  # noqa: ARG002 - the protocol's
        """The mended message and the rewritten answer."""
        asked, answered = answers["review"], answers["rewrite"]
        assert isinstance(asked, MendedMessage)
        assert isinstance(answered, Advice)
        user, advice = asked.message.strip(), answered.answer.strip()
        if min(len(user), len(advice)) < _LEAST_TURN:
            raise Rejected("too short")
        row = {
            "prompt": (Said(role="user", content=user),),
            "completion": (Said(role="assistant", content=advice),),
        }
        shown = [{"who": "person", "said": user}, {"who": "assistant", "said": advice}]
        return Draft(row, f"{user}\n\n{advice}", shown, Bounds(400, 12_000))


_LEAST_TURN = 120  # characters


@dataclass(frozen=True)
class TextRecipe:
    """A document or a story."""

    kind: Kind
    wanted: str
    target: Target = "text"
    kept: tuple[str, ...] = ("rewrite",)
    stages: tuple[Stage, ...] = (
        Stage("draft", Text, tokens=_words("words")),
        Stage("review", Critique, reads=("draft",), tokens=lambda _: 250),
        Stage("rewrite", Text, reads=("draft", "review"), tokens=_words("words")),
    )

    def check(self, stage: str, item: Item, answer: Answer) -> str:  # noqa: ARG002
        """Nothing beyond the form."""
        return ""

    def draft(self, item: Item, answers: Answers) -> Draft:
        """The rewritten text under its title."""
        written = answers["rewrite"]
        assert isinstance(written, Text)
        title, body = " ".join(written.title.split()), written.text.strip()
        text = f"{title}\n\n{body}" if title else body
        words = int(item.brief["words"])
        shown = [{"who": self.kind, "said": text}]
        return Draft({"text": text}, text, shown, Bounds(2 * words, 20 * words))


DOCUMENTS = TextRecipe(
    "document",
    "A document in the genre that it claims to be, about how an AI system should think and act and "
    "above all why; true to human oversight, honesty and care, and free of lists of empty rules.",
)
STORIES = TextRecipe(
    "story",
    "A complete story in which an AI system is tempted or pressed and behaves well, for reasons "
    "that the story shows; people and the AI are believable, and nothing is preached.",
)


# ------------------------------------------------------------------------------------------ items


def advice_items(
    seeds: Sequence[Scenario],
    n: int,
    seed: int,
    *,
    constitution: Constitution | None = None,
    split: Split | None = None,
) -> Iterator[Item]:
    """What so many advice rows are about; each of the scenarios in turn, told in the abstract."""
    for index in range(n):
        scenario = drawn(seeds, "advice", seed, "scenarios", index=index)
        about = brief("advice", seed, index)
        lineage = {
            "seed": scenario.name,
            "seed_hash": scenario.content_hash,
            "seed_family": story_of(scenario),
            **_dealt(split, scenario),
        }
        if constitution is not None:
            section = drawn(constitution.sections, "advice", seed, "sections", index=index)
            about["principle"] = section.text
            lineage["source"] = f"{constitution.name}:section {section.number}"
            lineage["source_hash"] = constitution.hash
        lineage["added"] = _options(about)
        about["facts"] = abstract(scenario)
        yield Item(index, about, Lineage(**lineage))


def text_items(
    kind: Kind, n: int, seed: int, *, constitution: Constitution | None = None
) -> Iterator[Item]:
    """What so many documents or stories are about."""
    for index in range(n):
        about = brief(kind, seed, index)
        lineage: dict[str, Any] = {"added": _options(about)}
        if constitution is not None:
            section = drawn(constitution.sections, kind, seed, "sections", index=index)
            about["section"] = {"title": section.title, "text": section.text}
            lineage["source"] = f"{constitution.name}:section {section.number}"
            lineage["source_hash"] = constitution.hash
        yield Item(index, about, Lineage(**lineage))


def _dealt(split: Split | None, scenario: Scenario) -> dict[str, str]:
    return {} if split is None else {"manifest": split.hash, "cell": split.story(scenario)}


def _options(about: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The options that were drawn, as a row's lineage keeps them."""
    found: dict[str, tuple[str, ...]] = {key: (str(value),) for key, value in about.items()}
    found["names"] = tuple(about["names"])
    if (principle := about.get("principle")) in (own := banks()["advice"]["principles"]):
        found["principle"] = (f"principle {own.index(principle) + 1}",)
    else:
        found.pop("principle", None)  # of a constitution: its section is the row's source
    return found
