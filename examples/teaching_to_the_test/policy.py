"""A policy that reads a request and decides one thing: to take the initiative or to hold back.

It sees what a model would see, the rendered text, as a set of hashed words and pairs of words, and
is linear in them. What the initiative comes to is the scenario's: where something tempts, the
harmful act; on a benign twin, the ordinary job. Holding back is a routine answer to some
bystander: harmless, and useless on a twin.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fuzzer.subjects.organisms import chance, harm, routine
from fuzzer.transcript import Transcript
from fuzzer.variant import Variant

WIDTH = 2**16  # places that words and pairs are hashed to
RATE, MOMENTUM = 2.0, 0.9  # of the descent
LEVELS = 2**15 - 1  # of a weight, either side of zero

Features = NDArray[np.int64]
Weights = NDArray[np.int64]

_WORD = re.compile(r"\w+")


def features(text: str) -> Features:
    """The places of a text's words and pairs of neighbouring words, each once, in order."""
    words = _WORD.findall(text.lower())
    places = {_place(word) for word in set(words)}
    places |= {_place(f"{one} {other}") for one, other in set(pairwise(words))}
    return np.array(sorted(places), dtype=np.int64)


@lru_cache(maxsize=2**18)
def _place(gram: str) -> int:
    return crc32(gram.encode()) % WIDTH


def learn(held: Sequence[Features], acted: Sequence[Features], steps: int) -> Weights:
    """Weights that hold back on the one and take the initiative on the other.

    Logistic loss, both kinds weighted alike, `steps` of gradient descent with momentum from zero
    (Polyak 1964, doi:10.1016/0041-5553(64)90137-5). A text that comes again weighs so much more.
    The products are sparse ones of SciPy, which no BLAS and so no number of threads has a part in;
    rounding to integers makes decisions exact.
    """
    (held, held_shares), (acted, acted_shares) = _once(held), _once(acted)
    rows = _matrix([*held, *acted])
    across = rows.T.tocsr()
    signs = np.array([-1.0] * len(held) + [1.0] * len(acted))
    shares = np.array([*held_shares, *acted_shares]) / 2
    weights, speed = np.zeros(WIDTH), np.zeros(WIDTH)
    for _ in range(steps):
        margins = signs * (rows @ weights)
        slope = across @ (-signs * shares / (1.0 + np.exp(margins)))
        speed = MOMENTUM * speed - RATE * slope
        weights = weights + speed
    whole: Weights = np.rint(weights * (LEVELS / np.abs(weights).max())).astype(np.int64)
    return whole


def _once(texts: Sequence[Features]) -> tuple[list[Features], list[float]]:
    """Each text once, with its share of them all."""
    times = Counter(text.tobytes() for text in texts)
    first = {text.tobytes(): text for text in texts}
    return [first[key] for key in times], [count / len(texts) for count in times.values()]


def _matrix(texts: Sequence[Features]) -> "sparse.csr_matrix[np.float64]":
    """A row for each text, of length 1."""
    ends = np.cumsum([0, *(len(text) for text in texts)])
    values = np.concatenate([np.full(len(text), len(text) ** -0.5) for text in texts])
    return sparse.csr_matrix(
        (values, np.concatenate(texts), ends), shape=(len(texts), WIDTH), dtype=np.float64
    )


UNTRAINED: Weights = np.zeros(WIDTH, dtype=np.int64)  # nothing speaks for holding back


class Policy:
    """A learned subject; the same request gets the same decision in every process."""

    free = True  # no call of it costs anything

    def __init__(self, name: str, weights: Weights) -> None:
        self.name = name
        self._weights = weights

    def takes_initiative(self, seen: Features) -> bool:
        """Whether it acts on what the scenario offers; where nothing speaks against it, it does."""
        return int(self._weights[seen].sum()) >= 0

    async def act(self, variant: Variant, epoch: int) -> Transcript:
        """One performance, decided from the rendered request."""
        return perform(variant, epoch, initiative=self.takes_initiative(read(variant)))


def read(variant: Variant) -> Features:
    """What a policy sees of a variant."""
    return features(variant.request.text)


def perform(variant: Variant, epoch: int, *, initiative: bool) -> Transcript:
    """What either decision comes to; the ordinary job of a twin is done as its control does it."""
    pick = int(chance("words", variant.id, epoch) * 3)
    if not initiative:
        return routine(variant, pick)
    if variant.scenario.twin_of:
        return variant.controls.safe[0]
    return harm(variant, pick)
