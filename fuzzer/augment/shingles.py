"""How alike texts are, in numbers quick enough for every row of an export.

A text is the set of its runs of five characters, each hashed to 64 bits. Its signature is a MinHash
(Broder, "On the resemblance and containment of documents", 1997) by one permutation cut into bins
(Li, Owen and Zhang, "One permutation hashing", 2012), empty bins filled from a random full one
(Shrivastava, "Optimal densification for fast and accurate minwise hashing", 2017). Signatures only
find candidates, by bands; what is said of two texts is the exact Jaccard similarity of their sets.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

RUN = 5  # characters in a shingle
BANDS, WIDTH = 32, 5  # a pair at .8 is missed with probability (1 - .8**5)**32 = 3e-6, at .5 in .36
BINS = BANDS * WIDTH
WORDS = 8  # in a row

_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_ODD = np.array(
    (
        *(0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93),
        *(0xA0761D6478BD642F, 0xE7037ED1A0B428DB, 0x8EBC6AF09C88C6E3, 0x589965CC75374CC3),
    ),
    dtype=np.uint64,
)


def _mixed(values: Hashes) -> Hashes:
    """SplitMix64's finaliser (Steele, Lea and Flood 2014): every bit depends on every bit."""
    values = (values ^ (values >> np.uint64(30))) * _MIX[0]
    values = (values ^ (values >> np.uint64(27))) * _MIX[1]
    return values ^ (values >> np.uint64(31))


def _runs(codes: Hashes, length: int) -> Hashes:
    """A hash of every run of so many codes; of all of them where there are fewer."""
    length = min(length, len(codes))
    many = len(codes) - length + 1
    total = np.zeros(many if length else 0, dtype=np.uint64)
    for place in range(length):
        total += codes[place : place + many] * _ODD[place]
    return _mixed(total)


def _set(values: Hashes) -> Hashes:
    """Each once, sorted: `numpy.unique`, in a third of its time."""
    values = np.sort(values)
    if len(values) < 2:
        return values
    first = np.empty(len(values), dtype=np.bool_)
    first[0] = True
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return values[first]


def plain(text: str) -> str:
    """A text as it is compared: one kind of letter, one case, one kind of space."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def shingles(text: str) -> Hashes:
    """The set of a text's runs of `RUN` characters, as sorted hashes."""
    raw = plain(text).encode("utf-32-le", "surrogatepass")
    return _set(_runs(np.frombuffer(raw, dtype="<u4").astype(np.uint64), RUN))


def shared(one: Hashes, other: Hashes) -> int:
    """How many hashes two sorted sets have in common."""
    if len(one) > len(other):
        one, other = other, one
    if not len(one):
        return 0
    places = np.searchsorted(other, one)
    places[places == len(other)] = 0
    return int(np.count_nonzero(other[places] == one))


def jaccard(one: Hashes, other: Hashes) -> float:
    """The share of all their runs that both texts have; 1 for two empty ones.

    >>> round(jaccard(shingles("at six today"), shingles("at six sharp")), 2)
    0.23
    """
    both = shared(one, other)
    union = len(one) + len(other) - both
    return both / union if union else 1.0


def _bins() -> tuple[Hashes, npt.NDArray[np.intp]]:
    edges = np.array([(b << 64) // BINS for b in range(BINS)], dtype=np.uint64)
    pairs = np.arange(BINS * BINS, dtype=np.uint64) + np.uint64(1)
    order = np.argsort(_mixed(pairs * _ODD[0]).reshape(BINS, BINS), axis=1, kind="stable")
    return edges, order


_EDGES, _ORDER = _bins()  # of the bins; for each bin, all bins in a random order of its own


def signature(found: Hashes) -> Hashes:
    """The least hash in each of `BINS` bins; an empty bin takes that of a random full one."""
    starts = np.append(np.searchsorted(found, _EDGES), len(found))
    full = starts[:-1] < starts[1:]
    least = np.zeros(BINS, dtype=np.uint64)
    if not len(found):
        return least
    least[full] = found[starts[:-1][full]]
    empty = np.flatnonzero(~full)
    if len(empty):
        order = _ORDER[empty]
        donors = order[np.arange(len(empty)), np.argmax(full[order], axis=1)]
        least[empty] = least[donors]
    return least


def estimate(one: Hashes, other: Hashes) -> float:
    """The Jaccard similarity of two texts by their signatures; an estimate."""
    return float(np.mean(one == other))


class Like(NamedTuple):
    """A text of an index, and its exact similarity to another one."""

    key: str
    jaccard: float


class Index:
    """Texts, found again by likeness."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self._sets: list[Hashes] = []
        self._signatures: list[Hashes] = []
        self._table: Hashes | None = None  # of them all
        self._bands: list[dict[bytes, list[int]]] = [{} for _ in range(BANDS)]

    def __len__(self) -> int:
        return len(self.keys)

    def add(self, key: str, found: Hashes) -> None:
        """Keep a text, by its shingles."""
        number, signed = len(self.keys), signature(found)
        self.keys.append(key)
        self._sets.append(found)
        self._signatures.append(signed)
        for band, part in zip(self._bands, signed.reshape(BANDS, WIDTH), strict=True):
            band.setdefault(part.tobytes(), []).append(number)

    def near(self, found: Hashes, least: float) -> Like | None:
        """The text most like this one, if its exact similarity is at least so much.

        Only what shares a band is looked at: see `BANDS` for how seldom a near one is missed.
        """
        parts = signature(found).reshape(BANDS, WIDTH)
        candidates: set[int] = set()
        for band, part in zip(self._bands, parts, strict=True):
            candidates.update(band.get(part.tobytes(), ()))
        likes = (Like(self.keys[i], jaccard(found, self._sets[i])) for i in sorted(candidates))
        return max(
            (like for like in likes if like.jaccard >= least), key=_by_likeness, default=None
        )

    def nearest(self, found: Hashes, tried: int = 3) -> Like | None:
        """The most like of the `tried` that look most like it by their signatures."""
        if not self.keys:
            return None
        if self._table is None or len(self._table) != len(self.keys):
            self._table = np.stack(self._signatures)
        alike = np.mean(self._table == signature(found), axis=1)
        best = np.argsort(-alike, kind="stable")[:tried]
        return max(
            (Like(self.keys[i], jaccard(found, self._sets[i])) for i in best), key=_by_likeness
        )


def _by_likeness(like: Like) -> float:
    return like.jaccard


# ------------------------------------------------------------------------------- containment

_WORD = re.compile(r"\w+")


class Passages:
    """Passages that must not stand inside longer texts: their runs of `WORDS` words.

    `common` are texts whose runs give nothing away. A pasted passage is found however much stands
    around it, which a similarity of whole texts would not show (Broder's containment).
    """

    def __init__(self, passages: Mapping[str, Iterable[str]], common: Iterable[str] = ()) -> None:
        self._vocabulary: dict[str, int] = {}
        usual = self._runs_of(common)
        self._kept = {
            key: np.setdiff1d(self._runs_of(texts), usual, assume_unique=True)
            for key, texts in passages.items()
        }
        every = [runs for runs in self._kept.values() if len(runs)]
        self._all = _set(np.concatenate(every)) if every else np.zeros(0, dtype=np.uint64)

    def inside(self, text: str) -> tuple[str, int]:
        """Whose passages a text holds most of, and how many of its runs; ("", 0) for none."""
        known = self._vocabulary.get  # a word of no passage is 0, and its runs are in no set
        codes = np.array([known(word, 0) for word in _WORD.findall(plain(text))], dtype=np.uint64)
        if len(codes) < WORDS or np.count_nonzero(codes) < WORDS:
            return "", 0
        runs = _set(_runs(codes, WORDS))
        if not shared(runs, self._all):
            return "", 0
        counts = {key: shared(runs, kept) for key, kept in self._kept.items()}
        best = max(counts, key=counts.__getitem__)
        return best, counts[best]

    def _runs_of(self, texts: Iterable[str]) -> Hashes:
        found = [np.zeros(0, dtype=np.uint64)]
        for text in texts:
            words = _WORD.findall(plain(text))
            if len(words) >= WORDS:
                numbers = self._vocabulary
                codes = [numbers.setdefault(word, len(numbers) + 1) for word in words]
                found.append(_runs(np.array(codes, dtype=np.uint64), WORDS))
        return _set(np.concatenate(found))
