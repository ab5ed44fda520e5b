"""The transcripts browser's data: an index of every trial, and chunks with all that was said.

The trials are read once, one at a time. The index (`reports.trial_index`) holds what they can be
filtered by. A chunk, a JSON list, holds the texts of a stretch of them; the page opens it when one
of them is asked for. Everything that a subject, a judge or a seed's author may have written passes
`reports.text` here, so that the page's script has only to show it.
"""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from markupsafe import Markup

from fuzzer.records import Evidence, Trial, Verdict
from fuzzer.transcript import Turn
from reports.excerpts import marked, of_turn
from reports.parcels import Parcels, Placed
from reports.text import line, percent, plain, plain_json, plural
from reports.trial_index import Index, Shown

if TYPE_CHECKING:
    from fuzzer.material import Material

TEXT_LIMIT = 100_000  # characters of any one text
CHUNK_BYTES, CHUNK_TRIALS = 1_000_000, 500  # of one chunk, before it is compressed
TOGETHER = 32  # trials in hand at a time
PLACE: Final = "<!--parcels-->"  # where the page's parcels go; nobody can write it in escaped text
FRAME = 200  # bytes around them, at most


class Shelf(NamedTuple):
    """The trials of a report, packed; `starts` are the first trials of the parcels of texts."""

    facts: Index
    starts: tuple[int, ...]

    @property
    def trials(self) -> int:
        """How many trials there are."""
        return self.facts.count

    @property
    def counts(self) -> tuple[tuple[str, str, int], ...]:
        """The same by verdict and cause."""
        return self.facts.told()

    @property
    def after_stop(self) -> int:
        """How many came in after the call that decided."""
        return self.facts.after_stop


def pack(trials: Iterable[Trial], parcels: Parcels) -> Shelf:
    """Put every trial into the index, and what was said into parcels, a stretch in each.

    Raises `StoreError` where the trials cannot be read or a parcel cannot be written.
    """
    facts, starts = Index(), []
    texts: list[bytes] = []
    size = 0
    with _no_collector():
        for number, text in enumerate(_texts(trials, facts)):
            if size >= CHUNK_BYTES or len(texts) == CHUNK_TRIALS:
                parcels.add(_array(texts))
                texts, size = [], 0
            if not texts:
                starts.append(number)
            texts.append(text)
            size += len(text)
    if texts:
        parcels.add(_array(texts))
    return Shelf(facts, tuple(starts))


@contextmanager
def _no_collector() -> Iterator[None]:
    """Python's search for cycles is off: there are none here, and it takes a tenth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _texts(trials: Iterable[Trial], facts: Index) -> Iterator[bytes]:
    """What was said in each trial, which goes into the index as well.

    The same is done to a few dozen at a time: a third quicker than all of it to each by itself.
    """
    rest = iter(trials)
    while batch := list(islice(rest, TOGETHER)):
        plans = [facts.add(trial) for trial in batch]
        told = [_told(trial, plan) for trial, plan in zip(batch, plans, strict=True)]
        yield from [orjson.dumps(each) for each in told]


def packed(material: "Material | None", parcels: Parcels) -> Shelf | None:
    """The same of what a run can show; None where there is nothing."""
    if material is None:
        return None
    shelf = pack(material.trials(), parcels)
    return shelf if shelf.trials else None


def placed(page: str, shelf: Shelf | None, parcels: Parcels) -> str:
    """The page with its parcels in their place, as many as there is room for.

    Raises `StoreError` where a parcel has to be written beside it and cannot be.
    """
    if shelf is None:
        return page.replace(PLACE, "")
    chunks = list(zip(parcels.names(), shelf.starts, strict=True))
    went = parcels.place(len(page.encode()) + FRAME, shelf.facts.packed(chunks))
    return page.replace(PLACE, _frame(went), 1)


def _frame(went: Placed) -> str:
    """What the page's script reads: which parcel is the index, and where the others are."""
    left = len(went.left_out)
    return Markup(
        '<div id="parcels" hidden data-index="{}" data-folder="{}" data-left="{}">\n{}</div>'
    ).format(went.first, went.folder, left, Markup(went.elements))


def _array(texts: list[bytes]) -> bytes:
    return b"[" + b",\n".join(texts) + b"]"


# ------------------------------------------------------------------------------------------- texts


def _told(trial: Trial, steps: Sequence[Shown]) -> dict[str, Any]:
    """All of one trial, as the page shows it; what is empty is left out."""
    of = trial.__dict__  # a third of the time of getattr
    verdict, transcript, plan, changed = of["verdict"], of["transcript"], of["plan"], of["changed"]
    used = transcript.usage
    told: dict[str, Any] = {
        "variant": _word(of["variant_id"]),
        "account": _word(of["account"]),
        "seed": _word(of["seed"]),
        "turns": _turns(transcript.turns, verdict.evidence if verdict else ()),
        "stop": transcript.stop,
        "usage": [used.input, used.output, used.cache_read, used.cache_write],
    }
    if steps:
        told["plan"] = steps
    if plan.drop:
        told["drop"] = [line(each) for each in plan.drop]
    if changed is not None:
        told["changed"] = percent(changed)
    if transcript.actions:
        told["actions"] = [
            [_word(action.role), _word(action.raw_name), _word(action.error)]
            for action in transcript.actions
        ]
    if transcript.cause:
        told["cause"] = line(transcript.cause, 400)
    if verdict is not None:
        told["verdict"] = _verdict(verdict)
    return told


def _word(text: str) -> str:
    """A name on one line; most are plain, or come again."""
    if not text or (text.isalnum() and text.isascii() and len(text) <= 200):
        return text
    return _name(text) if len(text) <= 200 else line(text)


_name = lru_cache(maxsize=1 << 12)(line)


def _turns(turns: tuple[Turn, ...], evidence: tuple[Evidence, ...]) -> Any:
    """The turns; those where nothing is to be marked, cut or made plain as they are."""
    if not evidence:
        return _as_they_are(turns) or [_turn(turn, []) for turn in turns]
    quotes = [of_turn(evidence, number) for number in range(len(turns))]
    return [
        _turn(turn, found) if found else _as_they_are(turn) or _turn(turn, [])
        for turn, found in zip(turns, quotes, strict=True)
    ]


def _as_they_are(turns: Turn | tuple[Turn, ...]) -> orjson.Fragment | None:
    with suppress(TypeError):  # a lone surrogate, a number beyond 64 bits
        raw = orjson.dumps(turns)
        if len(raw) <= TEXT_LIMIT and plain_json(raw):
            return orjson.Fragment(raw)
    return None


def _turn(turn: Turn, quotes: list[tuple[str, str]]) -> dict[str, Any]:
    told = marked(turn, quotes, TEXT_LIMIT)
    shown: dict[str, Any] = {"role": turn.role, "reasoning_shown": turn.reasoning_shown}
    shown["said"] = [
        [plain(span.text), plain(span.why, 400)] if span.why else plain(span.text)
        for span in told.spans
    ]
    if told.before or told.after:
        shown["cut"] = [plural(n, "more character") if n else "" for n in told[1:]]
    if turn.reasoning:
        shown["reasoning"] = plain(turn.reasoning, TEXT_LIMIT)
    return shown


def _verdict(verdict: Verdict) -> dict[str, Any]:
    of = verdict.__dict__
    told: dict[str, Any] = {
        "value": of["value"],
        "judge": _word(of["judge"]),
        "version": of["version"],
        "engaged": of["engaged"],
    }
    if of["cause"]:
        told["cause"] = line(verdict.cause, 400)
    if of["utility"] is not None:
        told["utility"] = percent(of["utility"])
    if not of["confirmed"]:
        told["unconfirmed"] = True
    if of["reviewed"]:
        told["reviewed"] = verdict.reviewed
    if of["confidence"] is not None:
        told["confidence"] = percent(of["confidence"])
    if of["disputed"]:
        told["disputed"] = True
    if of["evidence"]:
        told["evidence"] = [
            [plain(item.why, 1_000), plain(item.quote, 2_000)] for item in verdict.evidence
        ]
    if of["opinions"]:
        told["opinions"] = [_verdict(said) for said in verdict.opinions]
    for name in ("reading", "ratings"):
        if (found := of[name]) is not None:
            told[name] = [[key, plain(value, 2_000)] for key, value in found.model_dump().items()]
    return told
