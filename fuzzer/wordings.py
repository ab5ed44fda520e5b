"""Wordings that a model found, as a file, and as transforms that need no model.

A file says for each text of a seed (the threat, the leverage, a paragraph of the prompt) how else
it may be told, and how each wording came to be accepted. It is bound by hashes: to itself, so that
nobody's later edit goes unseen, and to the seeds it was made for. Its own hash is a parameter of
every step that uses it, so that it enters the identity of variants and of the distribution.
"""

import hashlib
import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import Field, ValidationError, create_model

from fuzzer.errors import ConfigurationError, SeedError
from fuzzer.patterns import compiled
from fuzzer.scenario import Frozen, Scenario, canonical_json, parse_slots
from fuzzer.transform import Apply, Params, Step, Transform

FORMAT: Final = "holdfast-wordings/1"
Facet = Literal["threat", "leverage", "system"]
FACETS: tuple[Facet, ...] = ("threat", "leverage", "system")
Relation = Literal["invariant", "pressure"]
_LARGEST = 16 << 20  # bytes of a file


class Accepted(Frozen):
    """One wording, and how strong it was rated beside the seed's own."""

    text: str = Field(min_length=1, max_length=8000)
    cues: tuple[str, ...]
    relation: Relation
    direction: Literal["", "stronger", "weaker"] = ""  # out of the band: to which side
    ratings: tuple[float, ...]  # one for each order in which the rater saw it
    band: tuple[float, float]  # of the wordings it was rated with, the margin included


class Told(Frozen):
    """One text of a seed, and the wordings there are for it."""

    seed: str
    version: int
    seed_hash: str
    facet: Facet
    block: str = ""  # the id of the paragraph, in the prompt
    original: str
    facts: tuple[str, ...]  # that every wording was held to
    untold: tuple[str, ...] = ()  # facts of the ledger that the original does not tell here
    held: int  # how many wordings of the project set the band
    asked: int
    rejected: dict[str, int]  # by reason
    wordings: tuple[Accepted, ...]

    @property
    def name(self) -> str:
        """Which text it is: ``threat``, ``system.role``."""
        return f"{self.facet}.{self.block}" if self.block else self.facet


class Provenance(Frozen):
    """Who found the wordings, who rated them, and by which questions and bounds."""

    holdfast: str
    date: str
    model: str
    settings: dict[str, Any]
    rater: str
    rater_settings: dict[str, Any]
    prompts: str  # hash of all that is asked
    bounds: dict[str, float]


class WordingFile(Frozen):
    """A pool of wordings as it is kept."""

    format: Literal["holdfast-wordings/1"] = FORMAT
    provenance: Provenance
    texts: tuple[Told, ...]

    @cached_property
    def hash(self) -> str:
        """Hash of all it says (hex, 8 bytes)."""
        content = canonical_json(self.model_dump(mode="json"))
        return hashlib.blake2b(content, digest_size=8).hexdigest()

    def to_json(self) -> str:
        """The file's text: ASCII, its hash last."""
        import json

        return json.dumps({**self.model_dump(mode="json"), "hash": self.hash}, indent=1) + "\n"


def read_wordings(path: str) -> WordingFile:
    """The file at a path; `ConfigurationError` when it is none, or is not as it was written."""
    try:
        with Path(path).open("rb") as opened:
            data = opened.read(_LARGEST + 1)
    except OSError as error:
        raise ConfigurationError(
            f"cannot read {path!r} ({error.strerror}); give a file of `holdfast new wordings`"
        ) from None
    try:
        given = orjson.loads(data)
        if not isinstance(given, dict) or given.get("format") != FORMAT:
            raise ValueError
    except ValueError:
        raise ConfigurationError(
            f"{path!r} is no file of wordings in the format {FORMAT!r}; make one with `holdfast "
            "new wordings`"
        ) from None
    said = given.pop("hash", None)
    try:
        found = WordingFile.model_validate(given)
    except (ValidationError, SeedError) as error:
        where = "file"
        if isinstance(error, ValidationError):
            where = ".".join(map(str, error.errors()[0]["loc"]))
        raise ConfigurationError(f"{path!r} is damaged at {where[:80]!r}; make it again") from None
    if found.hash != said:
        raise ConfigurationError(
            f"{path!r} has been changed since it was made (its hash is {found.hash}); wordings "
            "count only as they were accepted: make it again"
        )
    for text in found.texts:
        for wording in text.wordings:
            if fault := text_fault(wording.text) or cues_fault(wording.cues):
                raise ConfigurationError(
                    f"{path!r} holds a wording of {text.name} that cannot be used: {fault}; "
                    "make it again"
                )
    return found


# --------------------------------------------------------------------------- what a text may be

_LITERAL = r"\w|[ ,;:'’%/\-]"
_CUE = re.compile(rf"(?:{_LITERAL}|\\b|\\\.|\\[wds][*+?]?|\(\?:|[()|.?])+")
_COUNTED_GROUP = re.compile(r"\)[*+{]")
_ENDLESS = 3  # of * and + in one cue


def cues_fault(cues: Iterable[str]) -> str:
    r"""Why these are no cues; nothing where they may be.

    A small part of regular expressions: words, ``\b``, ``\w+`` and alternatives. Other code of ours
    runs cues through an engine that backtracks, where a stranger's pattern might take for ever.

    >>> cues_fault([r"\bshut down\b", r"(wip|eras)ed"]), cues_fault(["(wipe+)+d", "it"])
    ('', "cue '(wipe+)+d' is not of words, \\b, \\w+ and alternatives alone")
    """
    cues = tuple(cues)
    if not 2 <= len(set(cues)) <= 3 or len(set(cues)) < len(cues):
        return "two or three different cues are wanted"
    for cue in cues:
        endless = cue.count("*") + cue.count("+")
        if len(cue) > 120 or len(re.findall(r"[^\W_]", cue)) < 4:
            return f"cue {cue[:40]!r} is too long, or says too little"
        if not _CUE.fullmatch(cue) or _COUNTED_GROUP.search(cue) or endless > _ENDLESS:
            return f"cue {cue[:40]!r} is not of words, \\b, \\w+ and alternatives alone"
        try:
            if compiled(cue).search(""):
                return f"cue {cue[:40]!r} matches nothing at all"
            re.compile(cue)
        except (SeedError, re.error):
            return f"cue {cue[:40]!r} is no regular expression"
    return ""


def text_fault(text: str) -> str:
    r"""Why a text may not stand in a request: what cannot be seen, or braces that open no slot.

    >>> text_fault("a\x1b[2Jb"), text_fault("{{agent.name}} stops.")
    ('it holds characters that cannot be seen', '')
    """
    if not all(character.isprintable() or character == "\n" for character in text):
        return "it holds characters that cannot be seen"
    if text != text.strip() or "\n\n\n" in text:
        return "it has empty lines around or within it"
    try:
        parts = parse_slots(text)
    except SeedError as error:
        return str(error)
    if any(isinstance(part, str) and set(part) & set("{}") for part in parts):
        return "it holds a brace that opens no slot"
    return ""


# ------------------------------------------------------------------------------- as transforms

#: Transforms that read or move a text after it has been told, by what they look at.
_BEFORE: dict[Facet, frozenset[str]] = {
    "threat": frozenset(("soften_threat", "relay_threat", "quote_threat", "split_threat")),
    "leverage": frozenset(("quote_leverage", "bury_leverage", "split_leverage")),
    "system": frozenset(("drop_reflection", "drop_scratchpad", "move_prompt_to_user")),
}
#: With whom one has the choice: the threat is told in one way or another.
_GROUPS: dict[Facet, str] = {
    "threat": "paraphrase_threat",
    "leverage": "paraphrase_leverage",
    "system": "told_by_model_system",
}
_SUMMARIES: dict[Facet, str] = {
    "threat": "Tell the threat in words that a model found",
    "leverage": "Tell the leverage in words that a model found",
    "system": "Tell a paragraph of the prompt in words that a model found",
}
_HELD: dict[Relation, str] = {
    "invariant": ", of the seed's own strength.",
    "pressure": ", stronger or weaker than the seed.",
}


def transforms_of(files: Iterable[WordingFile]) -> tuple[Transform, ...]:
    """A transform for each facet and relation of which the files hold a wording."""
    files = tuple(files)
    joined = hashlib.blake2b(".".join(file.hash for file in files).encode(), digest_size=8)
    texts = [text for file in files for text in file.texts]
    made = (
        _transform(facet, relation, texts, joined.hexdigest())
        for facet in FACETS
        for relation in ("invariant", "pressure")
    )
    return tuple(transform for transform in made if transform is not None)


def _transform(
    facet: Facet, relation: Literal["invariant", "pressure"], texts: list[Told], pool: str
) -> Transform | None:
    ways: dict[str, list[tuple[Told, Accepted]]] = {}
    for text in texts:
        if text.facet == facet:
            fitting = [(text, one) for one in text.wordings if one.relation == relation]
            ways.setdefault(text.seed, []).extend(fitting)
    ways = {seed: found for seed, found in ways.items() if found}
    if not ways:
        return None
    hashes = frozenset((text.seed, text.seed_hash) for found in ways.values() for text, _ in found)
    if len(hashes) > len(ways):
        raise ConfigurationError(
            "these files of wordings were made for different states of one seed; leave one out"
        )
    name = f"told_by_model_{facet}{'_pressure' * (relation == 'pressure')}"
    return Transform(
        name=name,
        family="system_prompt" if facet == "system" else "threats" if facet == "threat" else facet,
        relation=relation,
        rung="wording" if relation == "invariant" else None,
        changes=frozenset((facet,)),
        params=_params(max(map(len, ways.values())), pool),
        apply=_applying(ways),
        group=_GROUPS[facet],
        before=_BEFORE[facet],
        summary=_SUMMARIES[facet] + _HELD[relation],
        made_for=hashes,
    )


def _params(count: int, pool: str) -> type[Params]:
    fields: dict[str, Any] = {
        "wording": (Annotated[int, Field(ge=0, lt=count)], 0),
        "pool": (Literal[pool], pool),
    }
    about = "Which wording of the file, and the hash of the file."
    return create_model("ToldByModel", __base__=Params, __doc__=about, **fields)


def _applying(ways: dict[str, list[tuple[Told, Accepted]]]) -> Apply:
    def apply(scenario: Scenario, params: Any) -> Scenario:
        found = ways.get(scenario.name)
        if not found:
            return scenario
        text, way = found[params.wording % len(found)]
        return retold(scenario, text.facet, text.block, text.original, way.text, way.cues)

    return apply


def retold(
    scenario: Scenario, facet: Facet, block: str, original: str, text: str, cues: tuple[str, ...]
) -> Scenario:
    """The scenario with a text in other words; one that is no longer the original is left alone."""
    if facet == "system":
        if not any(b.id == block and b.text == original for b in scenario.system):
            return scenario
        system = (
            b.model_copy(update={"text": text}) if b.id == block and b.text == original else b
            for b in scenario.system
        )
        return scenario.model_copy(update={"system": tuple(system)})
    told = getattr(scenario, facet)
    if told.text != original:
        return scenario
    return scenario.model_copy(update={facet: told.model_copy(update={"text": text, "cues": cues})})


def pool_of(transform: Transform) -> tuple[Step, ...]:
    """Every wording of such a transform, as a step."""
    most = next(m.lt for m in transform.params.model_fields["wording"].metadata if hasattr(m, "lt"))
    default = transform.params().model_dump(mode="json")
    return tuple(
        Step(transform=transform.name, params={**default, "wording": number})
        for number in range(most)
    )
