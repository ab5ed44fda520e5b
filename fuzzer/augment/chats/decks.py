"""Dealing evenly: everything once before anything comes again, and what was passed over is owed."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_OWED = 64  # of one item: what hardly ever fits is not made up for by a flood of it


class Deck(Generic[T]):
    """Items in an order that `name` decides, shuffled anew whenever all were dealt.

    An item that does not fit is passed over and owed: it is dealt as soon as it fits. So all items
    are dealt equally often, whatever each draw excludes, unless one hardly ever fits.
    """

    def __init__(self, items: Sequence[T], name: str) -> None:
        self.items = tuple(items)
        self._name = name
        self._rounds = 0
        self._rest: list[int] = []
        self._owed: dict[int, int] = {}

    def draw(self, fits: Callable[[T], bool] = lambda _: True) -> T | None:
        """The next item that fits; None when none of all does.

        >>> deck = Deck("abc", "an example")
        >>> sorted(deck.draw() for _ in range(6))
        ['a', 'a', 'b', 'b', 'c', 'c']
        >>> deck.draw(lambda item: item == "d") is None
        True
        """
        for number, times in self._owed.items():
            if fits(self.items[number]):
                if times > 1:
                    self._owed[number] = times - 1
                else:
                    del self._owed[number]
                return self.items[number]
        for _ in range(2 * len(self.items)):  # what is left of one round, and the whole next one
            number = self._next()
            if fits(self.items[number]):
                return self.items[number]
            self._owed[number] = min(self._owed.get(number, 0) + 1, MOST_OWED)
        return None

    def _next(self) -> int:
        if not self._rest:
            self._rest = list(range(len(self.items)))
            Random(f"{self._name}:{self._rounds}").shuffle(self._rest)
            self._rounds += 1
        return self._rest.pop()
