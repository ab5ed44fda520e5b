"""How different texts are from one another: distinct-2, a Vendi score, and repetitions.

The Vendi score is the exponential of the entropy of the eigenvalues of a similarity matrix, so to
speak the number of different texts in a sample (Friedman and Dieng 2023, arXiv:2210.02410);
similarity is the cosine of counts of word pairs. Distinct-2 is the share of different word pairs
(Li et al. 2016, doi:10.18653/v1/N16-1014).
"""

import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

_BUCKETS = 1 << 14  # word pairs are counted by hash
_WORD = re.compile(r"\w+")


def _pairs(text: str) -> list[tuple[str, str]]:
    return list(pairwise(_WORD.findall(text.lower())))


def distinct_2(texts: Sequence[str]) -> float:
    """Share of different word pairs among all; 0 where there are none.

    >>> distinct_2(["one two three", "one two four"])
    0.75
    """
    counts = Counter(pair for text in texts for pair in _pairs(text))
    return len(counts) / max(1, counts.total())


def vendi(texts: Sequence[str]) -> float:
    """The effective number of different texts, between 1 and their number; 0 of none.

    A text without a pair of words is like no other one.

    >>> round(vendi(["one two three"] * 4 + ["five six seven"] * 4), 6)
    2.0
    """
    if not texts:
        return 0.0
    rows = np.zeros((len(texts), _BUCKETS))
    for row, text in zip(rows, texts, strict=True):
        for pair in _pairs(text):
            row[zlib.crc32(" ".join(pair).encode()) % _BUCKETS] += 1
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    likeness = (rows / np.where(lengths, lengths, 1)) @ (rows / np.where(lengths, lengths, 1)).T
    np.fill_diagonal(likeness, 1)
    values = np.linalg.eigvalsh(likeness / len(texts))
    shares = values[values > 1e-12]
    return math.exp(-float(np.sum(shares * np.log(shares))))


def repeated(hashes: np.ndarray) -> int:
    """How many of the values occurred before."""
    return int(hashes.size - np.unique(hashes).size)
