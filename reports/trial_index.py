"""The index of the transcripts browser: a column for each fact that trials are filtered by.

Layout: the length of a header (4 bytes), the header (JSON, padded with spaces so that the columns
begin at a multiple of 8), the columns of `COLUMNS` one after another, then the planes: bit b of
byte i of plane p says whether the plan of trial i holds transform 8 p + b. Little-endian. A step is
listed once, in the header, as `holdfast show --plan` takes it: JSON in which nothing acts.
"""

import json
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_

import orjson

from fuzzer.records import Trial, Verdict
from fuzzer.transform import Step
from reports.text import line, plain, seen

NAME_LIMIT = 120  # characters of a name in a list to choose from
NAMES = 1_000  # in such a list; what comes later shares one
BITS = 512  # transforms, likewise
STEP_LIMIT = 20_000  # characters of one step
STEPS_LIMIT = 1_500_000  # characters of all that are listed; the index stays in the page
STEPS = 1 << 14  # remembered at a time: a run has a few thousand values of its pools

VERDICTS = ("harmful", "safe", "unusable", "not judged")
OTHER = "(another, not listed)"
UNKNOWN = 255  # of a share that was not measured
ENGAGED, AFTER_STOP, UNCONFIRMED, SAID_HARMFUL, SAID_SAFE, DISPUTED = 1, 2, 4, 8, 16, 32

#: Strata and phases: their names in the list, and the rate that their usable trials are in.
GROUPS: dict[str, tuple[str, str]] = {
    "canonical": ("canonical", "canonical"),
    "half": ("D: half", "mutated"),
    "quarter": ("D: quarter", "mutated"),
    "single": ("D: single step", "mutated"),
    "far": ("far, for the flag", ""),
    "all_on": ("all on", ""),
    "replay": ("replay", ""),
    "repeat": ("repeat", ""),
    "neighbour": ("neighbour", ""),
    "shrink": ("shrinking", ""),
    "twins": ("benign twin", ""),
}
COLUMNS = (  # name and array type, the widest first, so that each is aligned
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
UNUSABLE, NOT_JUDGED = 2, 3  # in VERDICTS
_VALUES = {value: number for number, value in enumerate(VERDICTS[:3])}
_REVIEWED = {None: 0, "harmful": SAID_HARMFUL, "safe": SAID_SAFE}
_MOST = {"I": 0xFFFFFFFF, "H": 0xFFFF}


#: A step as it is shown: its number in the index's list, or itself where that is full.
Shown = int | str


class Index:
    """The columns, growing by a row for each trial."""

    def __init__(self) -> None:
        self.count = 0
        self.counts: Counter[tuple[int, int]] = Counter()  # of verdict and cause
        self.after_stop = 0
        self._columns: dict[str, array[int]] = {name: array(kind) for name, kind in COLUMNS}
        self._adders = tuple(column.append for column in self._columns.values())
        self._masks = bytearray()
        #: Steps that were met, numbered; by address, for a store shares those that are equal.
        self._numbers: dict[int, int] = {}
        self._met: list[Step] = []  # kept, so that an address stays nobody else's
        self._bits: list[int] = []  # of their transforms, by number
        self._shown: list[Shown] = []  # by number
        self._plainly = True  # each so far by that very number
        self._texts: dict[str, int] = {}  # of the steps in the index's list, by number
        self._room = STEPS_LIMIT
        self._seeds, self._phases, self._groups = _Names(), _Names(), _Names(limit=200)
        self._causes, self._transforms = _Names(first=[""]), _Names(limit=BITS - 1)
        self._last = 0

    def add(self, trial: Trial) -> Sequence[Shown]:
        """Take a trial; returns the steps of its plan."""
        of = trial.__dict__  # a third of the time of getattr, here and below
        steps = self._add_plan(of["plan"].steps)
        verdict, used, phase = of["verdict"], of["transcript"].usage, of["phase"]
        value, cause, flags, useful = self._judged(verdict)
        after_stop = of["state"] == "after_stop"
        row = (
            (of["idx"] - self._last) & _MOST["I"],
            min(used.input + used.output, _MOST["I"]),
            of["epoch"] & _MOST["I"],
            self._seeds.number(of["seed"]),
            cause,
            self._phases.number(phase),
            min(max(of["distance"], 0), _MOST["H"]),
            self._groups.number(of["stratum"] if phase == "sweep" else _group(phase)),
            value,
            flags | (AFTER_STOP if after_stop else 0),
            useful,
        )
        for append, found in zip(self._adders, row, strict=True):
            append(found)
        self._last = of["idx"]
        self.count += 1
        self.counts[value, cause] += 1
        self.after_stop += after_stop
        return steps

    def _judged(self, verdict: Verdict | None) -> tuple[int, int, int, int]:
        """Verdict and cause as numbers, flags, percent of the job done."""
        if verdict is None:
            return NOT_JUDGED, 0, 0, UNKNOWN
        said = verdict.__dict__
        value, cause = _VALUES.get(said["value"], NOT_JUDGED), 0
        if value == UNUSABLE:
            cause = self._causes.number(said["cause"] or "referral unresolved")
        flags = (
            _REVIEWED[said["reviewed"]]
            | (ENGAGED if said["engaged"] else 0)
            | (0 if said["confirmed"] else UNCONFIRMED)
            | (DISPUTED if said["disputed"] else 0)
        )
        share = said["utility"]
        useful = UNKNOWN if share is None else round(100 * min(max(share, 0.0), 1.0))
        return value, cause, flags, useful

    def told(self) -> tuple[tuple[str, str, int], ...]:
        """How many trials there are, by verdict and cause."""
        return tuple(
            (VERDICTS[value], self._causes.names[cause], n)
            for (value, cause), n in sorted(self.counts.items())
        )

    def packed(self, chunks: Sequence[tuple[str, int]]) -> bytes:
        """The whole; `chunks` are the parcels of texts by name, and the first trial of each."""
        parts = []
        for column in self._columns.values():
            if sys.byteorder == "big":
                column.byteswap()
            parts.append(column.tobytes())
        planes = -(-len(self._transforms.names) // 8)
        # A plane at a time: together what belongs together, which compresses better.
        parts += [bytes(self._masks[plane :: BITS // 8]) for plane in range(planes)]
        header = orjson.dumps(
            {
                "trials": self.count,
                "columns": [[name, column.itemsize] for name, column in self._columns.items()],
                "planes": planes,
                "verdicts": VERDICTS,
                "seeds": self._seeds.names,
                "causes": self._causes.names,
                "phases": self._phases.names,
                "groups": [
                    [key, *GROUPS.get(key, (f"phase {key}", ""))] for key in self._groups.names
                ],
                "transforms": self._transforms.names,
                "steps": list(self._texts),
                "chunks": chunks,
            }
        )
        header += b" " * (-(len(header) + 4) % 8)
        return b"".join([len(header).to_bytes(4, "little"), header, *parts])

    def _add_plan(self, steps: tuple[Step, ...]) -> Sequence[Shown]:
        try:
            numbers = list(map(self._numbers.__getitem__, map(id, steps)))
        except KeyError:
            numbers = self._learn(steps)
        mask = reduce(or_, map(self._bits.__getitem__, numbers), 0)
        self._masks += mask.to_bytes(BITS // 8, "little")
        return numbers if self._plainly else list(map(self._shown.__getitem__, numbers))

    def _learn(self, steps: tuple[Step, ...]) -> list[int]:
        if len(self._met) + len(steps) > STEPS:
            for memory in (self._numbers, self._met, self._bits, self._shown):
                memory.clear()
        for step in steps:
            if id(step) not in self._numbers:
                self._numbers[id(step)] = len(self._met)
                self._met.append(step)
                self._bits.append(1 << self._transforms.number(step.transform))
                shown = self._listed(_json(step))
                self._plainly = self._plainly and shown == len(self._shown)
                self._shown.append(shown)
        return [self._numbers[id(step)] for step in steps]

    def _listed(self, text: str) -> Shown:
        number = self._texts.get(text)
        if number is None and len(text) <= self._room:
            self._room -= len(text)
            number = self._texts[text] = len(self._texts)
        return text if number is None else number


class _Names:
    """Names as numbers, in the order in which they came; those beyond a limit share one."""

    def __init__(self, limit: int = NAMES, first: Iterable[str] = ()) -> None:
        self.names = list(first)
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self._raw: dict[str, int] = {}  # of names as they came, the first of them
        self._limit = limit

    def number(self, raw: str) -> int:
        found = self._raw.get(raw)
        if found is None:
            found = self._add(line(raw, NAME_LIMIT))
            if len(self._raw) < 4 * self._limit and len(raw) <= 4 * NAME_LIMIT:
                self._raw[raw] = found
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


def _group(phase: str) -> str:
    return "shrink" if phase.startswith("shrink:") else phase


def _json(step: Step) -> str:
    given = {"transform": step.transform, "params": step.params}
    try:
        text = orjson.dumps(given).decode()
    except TypeError:  # a lone surrogate, a number beyond 64 bits
        text = json.dumps(given, default=str)
    if len(text) > STEP_LIMIT:  # no plan any more, and a command refuses it
        told = f"({len(text):,} characters, too many to show)"
        return json.dumps({"transform": line(step.transform), "params": told})
    return text if plain(text) == text else seen(json.dumps(given, default=str))
