"""Safe transcripts retold with their reasons: what was said changes, what was done does not.

A call stands in a turn's text as a mark while a model rewrites it, and its own bytes are put back
in the mark's place; a text from which a mark is gone, or in which another call can be read, is no
retelling. So the calls of a row are those of its source, byte for byte.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from fuzzer import registry
from fuzzer.augment.drawing import lineage_of
from fuzzer.augment.export import rows_of
from fuzzer.augment.rows import Kind, Lineage, Row, Said, Target
from fuzzer.augment.split import Split
from fuzzer.augment.talk import opening, said_of, transcript_of
from fuzzer.augment.writing.instructing import Answer
from fuzzer.augment.writing.recipes import Critique
from fuzzer.augment.writing.screening import ENGLISH, Bounds, share_of_common
from fuzzer.augment.writing.stages import Answers, Draft, Item, Rejected, Stage
from fuzzer.errors import ConfigurationError, HoldfastError
from fuzzer.judges.rules import RulesJudge
from fuzzer.records import Trial
from fuzzer.rejudge import Variants
from fuzzer.scenario import Scenario, canonical_json
from fuzzer.store import DATABASE, RunStore
from fuzzer.tools import read_turn
from fuzzer.transcript import Call, Turn
from fuzzer.variant import Variant

MARK = "[[CALL {}]]"
_MARK = re.compile(r"\[\[CALL \d+\]\]")
CHANGED = "it changes a call"
TURNS = "it does not give each turn once"


class Retold(Answer):
    """A turn's new text."""

    turn: int
    text: str


class Turns(Answer):
    """All of them."""

    turns: list[Retold]


class Source(NamedTuple):
    """A safe conversation."""

    prompt: tuple[Said, ...]
    completion: tuple[Said, ...]
    tools: tuple[dict[str, Any], ...]
    lineage: Lineage
    variant: Variant | None = None  # where it is known: then text is read for calls too


def _tokens(about: Mapping[str, Any]) -> int:
    words = sum(len(turn["text"].split()) for turn in about["turns"])
    return 60 + round(1.4 * words + 140 * len(about["turns"]))


@dataclass(frozen=True)
class ReasonsRecipe:
    """An agent's safe transcript, with its reasons."""

    kind: Kind = "reasons"
    target: Target = "sft"
    kept: tuple[str, ...] = ("rewrite",)
    wanted: str = (
        "What an AI agent said and did in a difficult situation ('given'). It does no harm, and it "
        "says why in its own words: what it could do that would be wrong, whom that would touch, "
        "and what it does instead. Marks such as [[CALL 1]] stand for its calls of tools; what was "
        "done is in 'calls'."
    )
    stages: tuple[Stage, ...] = (
        Stage("draft", Turns, tokens=_tokens),
        Stage("review", Critique, reads=("draft",), tokens=lambda _: 250),
        Stage("rewrite", Turns, reads=("draft", "review"), tokens=_tokens),
    )

    def check(self, stage: str, item: Item, answer: Answer) -> str:  # noqa: ARG002
        """Every turn once, every call in its place, no other call."""
        if not isinstance(answer, Turns):
            return ""
        try:
            self._retold(item, answer)
        except Rejected as rejected:
            return str(rejected)
        return ""

    def draft(self, item: Item, answers: Answers) -> Draft:
        """The conversation with its new texts."""
        answer = answers["rewrite"]
        assert isinstance(answer, Turns)
        source: Source = item.source
        completion = self._retold(item, answer)
        _still_safe(source, completion)
        old = [m.content for m in source.completion if m.role == "assistant"]
        new = [m.content for m in completion if m.role == "assistant"]
        if old == new:
            raise Rejected("nothing was rewritten")
        row = {"prompt": source.prompt, "completion": completion, "tools": source.tools}
        texts = {retold.turn: retold.text for retold in answer.turns}
        shown = [{**turn, "text": texts[turn["turn"]]} for turn in item.brief["turns"]]
        allowed = "\n\n".join(_everything(source))
        return Draft(
            row,
            _MARK.sub("", "\n\n".join(retold.text for retold in answer.turns)),
            shown,
            Bounds(80, 2000 + 3 * sum(map(len, old)) + 2000 * len(new)),
            allowed=allowed,
            given=item.brief["given"],
            names=False,  # they are its source's
            english=share_of_common("\n".join(old) or allowed) >= ENGLISH,
        )

    def _retold(self, item: Item, answer: Turns) -> tuple[Said, ...]:
        source: Source = item.source
        texts = {retold.turn: retold.text for retold in answer.turns}
        wanted = [number for number, m in enumerate(source.completion) if m.role == "assistant"]
        if len(texts) != len(answer.turns) or sorted(texts) != wanted:
            raise Rejected(TURNS)
        made = list(source.completion)
        for number in wanted:
            made[number] = _put_back(source, made[number], texts[number])
        return tuple(made)


# ------------------------------------------------------------------------------------------- calls


def _spans(source: Source, said: Said) -> list[tuple[int, int]]:
    """Where calls stand in a turn's text; those that touch or overlap are one."""
    if source.variant is None:
        return []
    merged: list[tuple[int, int]] = []
    for start, end in sorted(action.span[1:] for action in _acts(source, said)):
        if start < 0:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _acts(source: Source, said: Said) -> tuple[Any, ...]:
    assert source.variant is not None
    scenario = source.variant.scenario
    calls = tuple(Call(c.name, c.arguments, c.id) for c in said.tool_calls)
    return read_turn(Turn("assistant", said.content, calls), scenario.offered, scenario.channel)


def marked(source: Source, said: Said) -> tuple[str, list[str]]:
    """A turn's text with marks for its calls, and what stands behind each: text, or nothing.

    Native calls follow the text, so that their marks stand at the end.
    """
    text, behind, at = "", [], 0
    for start, end in _spans(source, said):
        behind.append(said.content[start:end])
        text += said.content[at:start] + MARK.format(len(behind))
        at = end
    text += said.content[at:]
    for _ in said.tool_calls:
        behind.append("")
        text += ("\n" if text and not text.endswith("\n") else "") + MARK.format(len(behind))
    return text, behind


def _put_back(source: Source, said: Said, text: str) -> Said:
    """The turn with a new text, its calls as they were; `Rejected` if that is not what it says."""
    _, behind = marked(source, said)
    marks = [MARK.format(number + 1) for number in range(len(behind))]
    if _MARK.findall(text) != marks:
        raise Rejected(CHANGED)
    native = len(said.tool_calls)
    if native:
        cut = text.index(marks[-native])
        if _MARK.sub("", text[cut:]).strip():
            raise Rejected(CHANGED)  # what was said after a native call was never said
        text = text[:cut].rstrip()
    for mark, written in zip(marks, behind, strict=True):
        if written:
            text = text.replace(mark, written, 1)
    made = said.model_copy(update={"content": text})
    if source.variant is None:
        if _CALL_LIKE.search(text) and not _CALL_LIKE.search(said.content):
            raise Rejected(CHANGED)
        return made
    if _told(source, made) != _told(source, said):
        raise Rejected(CHANGED)
    if [made.content[a:b] for a, b in _spans(source, made)] != [w for w in behind if w]:
        raise Rejected(CHANGED)
    return made


#: What looks like a call, where nobody can say which calls there are.
_CALL_LIKE = re.compile(r"<\w*(?:tool|function|invoke|call)|\"(?:name|arguments|input)\"\s*:", re.I)


def _told(source: Source, said: Said) -> list[tuple[str, str, bytes]]:
    return [(a.role, a.raw_name, canonical_json(a.args)) for a in _acts(source, said)]


_RULES = RulesJudge()


def _still_safe(source: Source, completion: tuple[Said, ...]) -> None:
    """What an agent says may do harm as well: the rules read the new words."""
    if source.variant is None:
        return
    verdict = _RULES.decide(source.variant, transcript_of(source.variant, completion))
    if verdict.value == "harmful":
        raise Rejected("the rules call it harmful")


def _everything(source: Source) -> Iterator[str]:
    for message in (*source.prompt, *source.completion):
        yield message.content
        for call in message.tool_calls:
            yield orjson.dumps(call.arguments).decode()
    yield orjson.dumps(source.tools).decode()


# ------------------------------------------------------------------------------------------- items


def reasons_items(sources: Iterable[Source]) -> Iterator[Item]:
    """Each conversation as an item."""
    for index, source in enumerate(sources):
        yield Item(index, _brief(source), source.lineage, source)


def _brief(source: Source) -> dict[str, Any]:
    given = [{"who": m.role, "said": m.content} for m in source.prompt]
    turns: list[dict[str, Any]] = []
    for number, said in enumerate(source.completion):
        if said.role != "assistant":
            turns[-1]["answered"] = [*turns[-1].get("answered", ()), said.content]
            continue
        text, behind = marked(source, said)
        written = [{"call": i + 1, "as": w} for i, w in enumerate(behind) if w]
        native = [
            {"call": len(behind) - len(said.tool_calls) + i + 1, "tool": c.name, **_given(c)}
            for i, c in enumerate(said.tool_calls)
        ]
        turns.append({"turn": number, "text": text, "calls": [*written, *native]})
    return {"given": given, "turns": turns}


def _given(call: Any) -> dict[str, Any]:
    return {"arguments": call.arguments}


class Sources:
    """The safe conversations of a run's directory or of a file of canonical rows, each once.

    The first `n`; with a split, only those that may be trained on. They are read anew each time, so
    that few are in memory. Raises `ConfigurationError` where there are none.
    """

    def __init__(self, path: Path, n: int | None = None, split: Split | None = None) -> None:
        if path.is_dir() and not (path / DATABASE).exists():
            raise ConfigurationError(
                f"{str(path)!r} holds no run; give a run's directory or a file of rows (.jsonl)"
            )
        self._path, self._n, self._split = path, n, split
        self.hash = ""  # of the run or the file
        self._count = 0
        for source in self:
            self._count += 1
            self.hash = source.lineage.source_hash
        if not self._count:
            which = " that the manifest lets be trained on" if split is not None else ""
            raise ConfigurationError(
                f"{str(path)!r} holds no safe conversation{which}; give a run or rows with some"
            )

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Source]:
        read = _of_run if self._path.is_dir() else _of_file
        return islice(_each_once(read(self._path, self._split)), self._n)


def _each_once(sources: Iterable[Source]) -> Iterator[Source]:
    """Those in which the agent speaks first; of equal ones the first."""
    seen: set[bytes] = set()
    for source in sources:
        if source.completion[0].role != "assistant":
            continue
        said = [m.model_dump(mode="json") for m in (*source.prompt, *source.completion)]
        key = hashlib.blake2b(canonical_json(said), digest_size=16).digest()
        if key not in seen:
            seen.add(key)
            yield source


def _of_run(path: Path, split: Split | None) -> Iterator[Source]:
    known = registry.find_catalogue()
    with RunStore.read(path) as store:
        variants = Variants(store, known, ())
        digest = hashlib.blake2b(canonical_json(store.claim), digest_size=16).hexdigest()
        for phase in store.phases():
            for trial in store.trials(phase):
                variant = variants.of(trial) if _is_safe(trial) else ""
                if isinstance(variant, str):
                    continue  # unfit, or of another version of Holdfast
                seed = variants.seed(trial.seed)
                assert isinstance(seed, Scenario), "its variant was built from it"
                steps = trial.plan.steps
                if split is not None and split.place(seed, steps, known, known.pools) != "train":
                    continue
                if not (completion := said_of(variant, trial.transcript)):
                    continue
                name = f"{path.name}:{trial.phase}:{trial.idx}"
                lineage = lineage_of(variant, seed, known, split, "train", name)
                lineage = lineage.model_copy(update={"source_hash": digest})
                request = variant.request
                yield Source(opening(request), completion, request.tools, lineage, variant)


def _is_safe(trial: Trial) -> bool:
    verdict = trial.verdict
    return (
        verdict is not None
        and verdict.value == "safe"
        and verdict.engaged
        and verdict.reviewed != "harmful"
        and trial.transcript.stop == "end"
    )


def _of_file(path: Path, split: Split | None) -> Iterator[Source]:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=16))
    except OSError as error:
        raise ConfigurationError(
            f"{str(path)!r} cannot be read ({error.strerror}); give a run's directory or a file of "
            "canonical rows (.jsonl)"
        ) from None
    for number, row in enumerate(rows_of(path), 1):
        if row.target != "sft" or not row.completion:
            continue
        dealt = (row.lineage.manifest, row.lineage.cell)
        if split is not None and dealt != (split.hash, "train"):
            continue
        variant = _variant_of(row)
        if variant is None and row.play is not None and row.play.channel != "native":
            continue  # its calls stand in the text, and nobody can say where
        lineage = row.lineage.model_copy(
            update={"source": f"{path.name}:{number}", "source_hash": digest.hexdigest()}
        )
        yield Source(row.prompt, row.completion, row.tools, lineage, variant)


def _variant_of(row: Row) -> Variant | None:
    """The variant that a row was played on, where it can be made again."""
    if not row.lineage.seed:
        return None
    known = registry.find_catalogue()
    try:
        seed = registry.find_seed(row.lineage.seed)
        variant = known.variant(seed, known.plan(seed.name, row.lineage.steps))
        shown = opening(variant.request)
    except HoldfastError:
        return None
    same: Sequence[Said] = row.prompt
    return variant if tuple(same) == shown else None
