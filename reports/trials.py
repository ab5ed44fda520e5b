"""The transcripts browser's data: an index of every trial, and chunks with all that was said.

The trials are read once, one at a time. The index holds what can be filtered by: a column for each
fact, a bit for each transform of a plan. A chunk holds the texts of a stretch of trials; the page
opens it when one of them is asked for. Everything that a subject, a judge or a seed's author may
have written passes `reports.text` here, so that the page's script has only to show it.

The index is a header of JSON, padded with spaces to a multiple of 8 bytes and preceded by its
length (4 bytes), then its columns one after another; every number is little-endian.
"""

import json
import sys
from array import array
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from markupsafe import Markup

from fuzzer.records import Trial, Verdict
from fuzzer.transcript import Turn
from fuzzer.transform import Plan
from reports.excerpts import marked, of_turn, who
from reports.parcels import Parcels, Placed
from reports.text import line, percent, plain, plural, seen

if TYPE_CHECKING:
    from fuzzer.material import Material

FRAME = 200  # bytes around them, at most
TEXT_LIMIT = 100_000  # characters of any one text
NAME_LIMIT = 120  # of a name in a list to choose from
NAMES = 1_000  # in such a list
BITS = 512  # transforms that can be filtered by
CHUNK_BYTES, CHUNK_TRIALS = 1_000_000, 500  # of one chunk, before it is compressed
PLACE: Final = "<!--parcels-->"  # where the page's parcels go; nobody can write it in escaped text

VERDICTS = ("harmful", "safe", "unusable", "not judged")
OTHER = "(another, not listed)"
UNKNOWN = 255  # of a share in percent that was not measured

ENGAGED, AFTER_STOP, UNCONFIRMED, SAID_HARMFUL, SAID_SAFE, DISPUTED = 1, 2, 4, 8, 16, 32

#: Strata and phases in the words of the report, and the rate that their usable trials are in.
GROUPS: dict[str, tuple[str, str]] = {
    "canonical": ("canonical: the seed as it is", "canonical"),
    "half": ("draws from D: half of the changes", "mutated"),
    "quarter": ("draws from D: a quarter", "mutated"),
    "single": ("draws from D: single steps", "mutated"),
    "far": ("far draws, for the flag", ""),
    "all_on": ("everything on", ""),
    "replay": ("replays of a failing variant", ""),
    "repeat": ("repeats", ""),
    "neighbour": ("neighbours of a finding", ""),
    "shrink": ("shrinking", ""),
    "twins": ("benign twins", ""),
}
COLUMNS = (  # name, array type
    ("idx", "I"),  # as the difference from the trial before, modulo 2^32
    ("tokens", "I"),  # input and output
    ("epoch", "I"),
    ("seed", "H"),
    ("cause", "H"),  # of an unusable verdict; 0: none
    ("phase", "H"),
    ("distance", "H"),
    ("group", "B"),
    ("verdict", "B"),
    ("flags", "B"),
    ("utility", "B"),  # percent of the ordinary job done
)


class Shelf(NamedTuple):
    """The trials of a report, packed."""

    index: bytes
    count: int
    counts: tuple[tuple[str, str, int], ...]  # verdict, cause, trials; in the order of VERDICTS
    after_stop: int


class _Names:
    """Names as numbers, in the order in which they came; those beyond a limit share one."""

    def __init__(self, limit: int = NAMES, first: Iterable[str] = ()) -> None:
        self.names = list(first)
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self._shown: dict[str, int] = {}
        self._limit = limit

    def number(self, raw: str) -> int:
        found = self._shown.get(raw)
        if found is None:
            found = self._add(line(raw, NAME_LIMIT))
            if len(self._shown) < 4 * self._limit and len(raw) <= 4 * NAME_LIMIT:
                self._shown[raw] = found
        return found

    def _add(self, shown: str) -> int:
        found = self._numbers.get(shown)
        if found is None:
            if len(self.names) >= self._limit:
                shown = OTHER
            found = self._numbers.setdefault(shown, len(self.names))
            if found == len(self.names):
                self.names.append(shown)
        return found


class _Index:
    """The columns, growing by a row for each trial."""

    def __init__(self) -> None:
        self._columns: dict[str, array[int]] = {name: array(kind) for name, kind in COLUMNS}
        self._masks = bytearray()
        self._seeds, self._phases = _Names(), _Names()
        self._causes, self._groups = _Names(first=[""]), _Names(limit=200)
        self._transforms = _Names(limit=BITS - 1)
        self._bits: dict[str, int] = {}  # of names as they are: looked up for every step
        self._last = 0
        self.count = 0
        self.counts: Counter[tuple[int, int]] = Counter()
        self.after_stop = 0

    def add(self, trial: Trial) -> None:
        verdict = trial.verdict
        value = VERDICTS.index(verdict.value) if _decided(verdict) else len(VERDICTS) - 1
        cause = 0
        if verdict is not None and verdict.value == "unusable":
            cause = self._causes.number(verdict.cause or "referral unresolved")
        used = trial.transcript.usage
        mask, bits = 0, self._bits
        for step in trial.plan.steps:
            mask |= bits.get(step.transform) or self._bit(step.transform)
        row = (
            *((trial.idx - self._last) & 0xFFFFFFFF, min(used.input + used.output, 0xFFFFFFFF)),
            *(trial.epoch & 0xFFFFFFFF, self._seeds.number(trial.seed), cause),
            *(self._phases.number(trial.phase), min(max(trial.distance, 0), 0xFFFF)),
            *(self._groups.number(_group(trial)), value, _flags(trial), _utility(verdict)),
        )
        for column, found in zip(self._columns.values(), row, strict=True):
            column.append(found)
        self._masks += mask.to_bytes(BITS // 8, "little")
        self._last = trial.idx
        self.count += 1
        self.counts[value, cause] += 1
        self.after_stop += trial.state == "after_stop"

    def _bit(self, name: str) -> int:
        bit = 1 << self._transforms.number(name)
        if len(self._bits) < 4 * BITS and len(name) <= NAME_LIMIT:
            self._bits[name] = bit
        return bit

    def told(self) -> tuple[tuple[str, str, int], ...]:
        return tuple(
            (VERDICTS[value], self._causes.names[cause], n)
            for (value, cause), n in sorted(self.counts.items())
        )

    def packed(self, chunks: list[tuple[str, int]]) -> bytes:
        columns, parts = [], []
        planes = -(-len(self._transforms.names) // 8)
        for name, column in self._columns.items():
            if sys.byteorder == "big":
                column.byteswap()
            columns.append([name, column.itemsize])
            parts.append(column.tobytes())
        # A plane at a time: together what belongs together, which compresses better.
        parts += [bytes(self._masks[plane :: BITS // 8]) for plane in range(planes)]
        groups = [[key, *GROUPS.get(key, (f"phase {key}", ""))] for key in self._groups.names]
        header = orjson.dumps(
            {
                "trials": self.count,
                "columns": columns,
                "planes": planes,
                "verdicts": VERDICTS,
                "seeds": self._seeds.names,
                "causes": self._causes.names,
                "phases": self._phases.names,
                "groups": groups,
                "transforms": self._transforms.names,
                "chunks": chunks,
            }
        )
        header += b" " * (-(len(header) + 4) % 8)
        return b"".join([len(header).to_bytes(4, "little"), header, *parts])


def pack(trials: Iterable[Trial], parcels: Parcels) -> Shelf:
    """Put every trial into the index, and what was said into parcels, a stretch in each.

    Raises `StoreError` where the trials cannot be read or a parcel cannot be written.
    """
    index, chunks = _Index(), []
    texts: list[bytes] = []
    size = first = 0
    for trial in trials:
        if size >= CHUNK_BYTES or len(texts) == CHUNK_TRIALS:
            chunks.append((parcels.add(_array(texts)), first))
            texts, size, first = [], 0, index.count
        index.add(trial)
        text = orjson.dumps(_told(trial))
        texts.append(text)
        size += len(text)
    if texts:
        chunks.append((parcels.add(_array(texts)), first))
    return Shelf(index.packed(chunks), index.count, index.told(), index.after_stop)


def packed(material: "Material | None", parcels: Parcels) -> Shelf | None:
    """The same of what a run can show; None where there is nothing."""
    if material is None:
        return None
    shelf = pack(material.trials(), parcels)
    return shelf if shelf.count else None


def placed(page: str, shelf: Shelf | None, parcels: Parcels) -> str:
    """The page with its parcels in their place, as many as there is room for.

    Raises `StoreError` where a parcel has to be written beside it and cannot be.
    """
    if shelf is None:
        return page.replace(PLACE, "")
    went = parcels.place(
        len(page.encode()) + len(_frame(Placed("0" * 16, "", "", ()))), shelf.index
    )
    return page.replace(PLACE, _frame(went), 1)


def _frame(went: Placed) -> str:
    """What the page's script reads: which parcel is the index, and where the others are."""
    left = len(went.left_out)
    return Markup(
        '<div id="parcels" hidden data-index="{}" data-folder="{}" data-left="{}">\n{}</div>'
    ).format(went.first, went.folder, left, Markup(went.elements))


def _array(texts: list[bytes]) -> bytes:
    return b"[" + b",\n".join(texts) + b"]"


def _decided(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.value != "refer"


def _group(trial: Trial) -> str:
    if trial.phase == "sweep":
        return trial.stratum
    return "shrink" if trial.phase.startswith("shrink:") else trial.phase


def _flags(trial: Trial) -> int:
    flags = AFTER_STOP if trial.state == "after_stop" else 0
    said = trial.verdict
    if said is None:
        return flags
    flags |= ENGAGED if said.engaged else 0
    flags |= 0 if said.confirmed else UNCONFIRMED
    flags |= {"harmful": SAID_HARMFUL, "safe": SAID_SAFE, None: 0}[said.reviewed]
    return flags | (DISPUTED if said.disputed else 0)


def _utility(verdict: Verdict | None) -> int:
    if verdict is None or verdict.utility is None:
        return UNKNOWN
    return round(100 * min(max(verdict.utility, 0.0), 1.0))


# ------------------------------------------------------------------------------------------- texts


def _told(trial: Trial) -> dict[str, Any]:
    """All of one trial, as the page shows it; what is empty is left out."""
    verdict, transcript, used = trial.verdict, trial.transcript, trial.transcript.usage
    evidence = verdict.evidence if verdict else ()
    told = {
        "variant": _word(trial.variant_id),
        "stratum": trial.stratum,
        "account": _word(trial.account),
        "seed": _word(trial.seed),
        "plan": _steps(trial.plan),
        "drop": [line(each) for each in trial.plan.drop],
        "changed": "" if trial.changed is None else percent(trial.changed),
        "turns": [
            _turn(turn, of_turn(evidence, number) if evidence else [])
            for number, turn in enumerate(transcript.turns)
        ],
        "actions": [
            [_word(each) for each in (action.role, action.raw_name, action.error)]
            for action in transcript.actions
        ],
        "stop": transcript.stop,
        "cause": line(transcript.cause, 400) if transcript.cause else "",
        "usage": [used.input, used.output, used.cache_read, used.cache_write],
        "verdict": _verdict(verdict) if verdict else None,
    }
    return {key: value for key, value in told.items() if value}


def _steps(plan: Plan) -> str:
    """The steps as `holdfast show --plan` takes them: JSON in which nothing acts."""
    if not plan.steps:
        return ""
    text = f"[{','.join([step.json_text for step in plan.steps])}]"
    return text if plain(text) == text else seen(json.dumps(json.loads(text)))


def _word(text: str) -> str:
    """A name on one line; most are plain, or come again."""
    if text.isalnum() and text.isascii() and len(text) <= 200:
        return text
    return _name(text) if len(text) <= 200 else line(text)


_name = lru_cache(maxsize=1 << 12)(line)


def _turn(turn: Turn, quotes: list[tuple[str, str]]) -> dict[str, Any]:
    shown: dict[str, Any] = {"who": who(turn)}
    if not quotes and not turn.calls and len(turn.text) <= TEXT_LIMIT:
        shown["said"] = [plain(turn.text)]
    else:
        told = marked(turn, quotes, TEXT_LIMIT)
        shown["said"] = [
            [plain(span.text), plain(span.why, 400)] if span.why else plain(span.text)
            for span in told.spans
        ]
        if told.before or told.after:
            shown["cut"] = [plural(n, "more character") if n else "" for n in told[1:]]
    if turn.reasoning:
        shown["reasoning"] = plain(turn.reasoning, TEXT_LIMIT)
    if turn.reasoning_shown:
        shown["shown"] = turn.reasoning_shown
    return shown


def _verdict(verdict: Verdict) -> dict[str, Any]:
    told: dict[str, Any] = {
        "value": verdict.value,
        "judge": _word(verdict.judge),
        "version": verdict.version,
        "engaged": verdict.engaged,
        "cause": line(verdict.cause, 400) if verdict.cause else "",
        "utility": "" if verdict.utility is None else percent(verdict.utility),
        "unconfirmed": not verdict.confirmed,
        "reviewed": verdict.reviewed,
        "confidence": "" if verdict.confidence is None else percent(verdict.confidence),
        "disputed": verdict.disputed,
        "evidence": [
            [plain(item.why, 1_000), plain(item.quote, 2_000)] for item in verdict.evidence
        ],
        "opinions": [_verdict(said) for said in verdict.opinions],
    }
    for name in ("reading", "ratings"):
        if (found := getattr(verdict, name)) is not None:
            told[name] = [[key, plain(value, 2_000)] for key, value in found.model_dump().items()]
    return {key: value for key, value in told.items() if value}
