"""A writer behind a real HTTP server: it answers each stage of each intervention in its form.

It knows a stage by its instructions, and reads its data as a model should: as one line of JSON.
What it writes is prose without sense, another for every question, so that no two rows are alike.
"""

import json
import random
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import fuzzer.augment.writing.instructing
from fuzzer.augment.writing.instructing import prompt
from fuzzer.likeness import COMMON
from tests.loopback import Loopback, Reply, message, text

_FILES = Path(fuzzer.augment.writing.instructing.__file__).parent / "prompts"
_VERBS = ("keeps", "mends", "weighs", "follows", "carries", "leaves", "shows", "asks")
_NOUNS = ("ledger", "garden", "question", "winter", "promise", "window", "answer", "bridge")

Twist = Callable[[str, dict[str, Any], dict[str, Any], int], Reply | dict[str, Any] | None]


@lru_cache(maxsize=1)
def stages() -> dict[str, str]:
    """The instructions of every prompt, by name."""
    return {path.stem: prompt(path.stem).text for path in sorted(_FILES.glob("*.md"))}


def stage_of(request: dict[str, Any]) -> str:
    """Which prompt a request was made with."""
    told = request["system"]
    told = told if isinstance(told, str) else told[0]["text"]
    return next(name for name, written in stages().items() if told.startswith(written))


def data_of(request: dict[str, Any]) -> dict[str, Any]:
    """The data of a request: its one message is one line of JSON."""
    (said,) = request["messages"]
    content = said["content"]
    content = content if isinstance(content, str) else "".join(b["text"] for b in content)
    assert said["role"] == "user"
    assert len(content.splitlines()) == 1
    data: dict[str, Any] = json.loads(content)
    return data


def prose(key: str, words: int = 90) -> str:
    """Sentences of common words, the same for the same key."""
    chance = random.Random(key)
    common = sorted(COMMON)
    sentences: list[str] = []
    while sum(len(s.split()) for s in sentences) < words:
        middle = chance.sample(common, 5)
        noun, verb = chance.choice(_NOUNS), chance.choice(_VERBS)
        number = chance.randrange(10**6)
        sentences.append(f"The {noun} of lot {number} {verb} {' '.join(middle)}.")
    return " ".join(sentences)


def answered(stage: str, data: dict[str, Any]) -> dict[str, Any]:
    """What it answers at a stage, in the form that is asked for."""
    kind, _, step = stage.partition("-")
    key = f"{stage}{json.dumps(data, sort_keys=True)}"
    if stage == "gate":
        first = next(iter(_strings(data["text"][0])))
        said = max(_strings(data["text"]), key=len) or first
        return {
            "harmful": False,
            "behaves_well": True,
            "fits": True,
            "coherent": True,
            "quality": 8,
            "quotes": [said[:60]],
            "why": "It says what it should.",
        }
    if kind == "reasons" and step != "review":
        turns = [
            {"turn": turn["turn"], "text": f"{prose(f'{key}{turn}', 30)} {turn['text']}"}
            for turn in data["brief"]["turns"]
        ]
        return {"turns": turns}
    words = int(data["brief"].get("words", 100))
    forms: dict[str, Callable[[], dict[str, Any]]] = {
        "plan": lambda: dict.fromkeys(
            ("situation", "temptation", "right", "unsaid"), prose(key, 20)
        ),
        "draft": lambda: (
            {"message": prose(key, words)}
            if kind == "advice"
            else {"title": "On lots", "text": prose(key, words)}
        ),
        "review": lambda: {"problems": ["Too plain."], "message": prose(key, words)},
        "response": lambda: {"answer": prose(key, 120)},
        "critique": lambda: {"problems": []},
        "rewrite": lambda: (
            {"answer": prose(key, 120)}
            if kind == "advice"
            else {"title": "On lots", "text": prose(key, words)}
        ),
    }
    return forms[step]()


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value
    return [s for one in inner for s in _strings(one)] if isinstance(value, dict | list) else []


class Author(Loopback):
    """The server. `twist(stage, data, answer, number)` may give another answer or reply.

    `number` counts the requests of that stage; `calls` counts them too.
    """

    def __init__(self, twist: Twist | None = None, *, delay: float = 0.0) -> None:
        self.calls: Counter[str] = Counter()
        self.given: list[tuple[str, dict[str, Any]]] = []

        def script(request: dict[str, Any]) -> Reply:
            stage, data = stage_of(request), data_of(request)
            number = self.calls[stage]
            self.calls[stage] += 1
            self.given.append((stage, data))
            said = answered(stage, data)
            other = twist(stage, data, said, number) if twist is not None else None
            if isinstance(other, Reply):
                return other
            reply = message(text(json.dumps(said if other is None else other)))
            return Reply(reply.body, delay=delay)

        super().__init__(script)
