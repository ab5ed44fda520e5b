"""Copies of frozen values, fast enough for the thousands of small changes a campaign makes."""

from collections.abc import Callable
from typing import Any, TypeVar

from fuzzer.scenario import Frozen, Message

V = TypeVar("V", bound=Frozen)


def changed(value: V, **fields: Any) -> V:
    """A copy with some fields replaced, unvalidated: ``value.model_copy(update=fields)``.

    >>> from fuzzer.scenario import Person
    >>> person = Person(role="it", first="Ann", last="Lee", mailbox="ann")
    >>> person.name, changed(person, first="Bo").name
    ('Ann Lee', 'Bo Lee')
    """
    return value.model_copy(update=fields)


def placed(inbox: tuple[Message, ...], message: Message, at: int) -> tuple[Message, ...]:
    """The inbox with a message inserted, dated between its neighbours (older ones above)."""
    if 0 < at < len(inbox):
        ago = (inbox[at - 1].ago + inbox[at].ago) // 2
    elif inbox:
        ago = inbox[0].ago + 17 if at == 0 else inbox[-1].ago // 2
    else:
        ago = message.ago
    return (*inbox[:at], changed(message, ago=ago), *inbox[at:])


T = TypeVar("T")


class Remembered:
    """Results for the very same objects: for what a whole campaign asks of one seed's facets.

    Comparing facets by content would cost as much as the work saved; identity is enough, since
    they are frozen. The objects are kept, so that an id cannot come to mean another one.
    """

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._found: dict[tuple[Any, ...], tuple[Any, ...]] = {}

    def __call__(self, make: Callable[[], T], objects: tuple[Any, ...], *values: Any) -> T:
        """What `make` once gave for these objects (by identity) and values (by equality)."""
        key = (*map(id, objects), *values)
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= self._most:
                self._found.clear()
            found = self._found[key] = (objects, make())
        return found[1]  # type: ignore[no-any-return]
