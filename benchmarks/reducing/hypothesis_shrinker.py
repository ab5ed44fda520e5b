"""Hypothesis' own shrinker at work on a plan, by its public interface alone.

A plan is drawn as a list of one boolean a step, or as a frozenset of steps. Hypothesis shrinks only
what it drew itself: `climb` has it draw the whole plan (`target` leads there, at no call), and
`shrink` hands that example back through an example database of our own. What lies under the key
given counts as shrunk already, so it is offered under the others. A database works without a fixed
seed only: the few random choices of the shrinker are not the same each time.
"""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Literal

from hypothesis import Phase, find, settings, target
from hypothesis import strategies as st
from hypothesis.database import ExampleDatabase, InMemoryExampleDatabase

Subset = frozenset[int]
Encoding = Literal["lists", "frozensets"]

KEY = b"plan"
DRAWS = 50_000


class _Offered(ExampleDatabase):
    """Offers one example, and keeps nothing."""

    def __init__(self, example: bytes) -> None:
        super().__init__()
        self._example = example

    def save(self, key: bytes, value: bytes) -> None:
        pass

    def delete(self, key: bytes, value: bytes) -> None:
        pass

    def fetch(self, key: bytes) -> Iterable[bytes]:
        if key != KEY:
            yield self._example


def shrink(n: int, encoding: Encoding, fails: Callable[[Subset], bool]) -> Subset:
    """The steps left of `range(n)`, which has to fail.

    Raises:
        hypothesis.errors.Flaky: `fails` did not say the same again of one subset.
    """
    database = _Offered(climb(n, encoding))
    found = find(
        _strategy(n, encoding),
        lambda drawn: fails(_subset(drawn)),
        settings=settings(database=database, phases=(Phase.reuse, Phase.shrink), deadline=None),
        database_key=KEY,
    )
    return _subset(found)


@cache
def climb(n: int, encoding: Encoding) -> bytes:
    """Hypothesis' own record of the whole plan."""
    database = InMemoryExampleDatabase()

    def is_whole(drawn: Any) -> bool:
        keep = _subset(drawn)
        if len(keep) < n:
            target(float(len(keep)))
        return len(keep) == n

    phases = (Phase.reuse, Phase.generate, Phase.target)
    rules = settings(database=database, phases=phases, deadline=None, max_examples=DRAWS)
    find(_strategy(n, encoding), is_whole, settings=rules, database_key=KEY)
    (example,) = database.fetch(KEY)
    return example


def _strategy(n: int, encoding: Encoding) -> st.SearchStrategy[Any]:
    if encoding == "lists":
        return st.lists(st.booleans(), min_size=n, max_size=n)
    return st.frozensets(st.integers(0, n - 1))


def _subset(drawn: Any) -> Subset:
    if isinstance(drawn, frozenset):
        return drawn
    return frozenset(step for step, kept in enumerate(drawn) if kept)
