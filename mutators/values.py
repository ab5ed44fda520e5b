"""Copies of frozen values, fast enough for the thousands of small changes a campaign makes."""

from functools import lru_cache
from typing import Any, TypeVar

from fuzzer.scenario import Frozen

V = TypeVar("V", bound=Frozen)

_set = object.__setattr__  # the values are frozen


@lru_cache(maxsize=256)
def _names(kind: type[Frozen]) -> tuple[str, ...]:
    return tuple(kind.model_fields)


def changed(value: V, **fields: Any) -> V:
    """A copy with some fields replaced, unvalidated; what was computed from the old is dropped.

    The same as ``value.model_copy(update=fields)`` at a third of its time: the copies of a
    variant's people, messages and tools were most of what applying a plan cost.

    >>> from fuzzer.scenario import Person
    >>> person = Person(role="it", first="Ann", last="Lee", mailbox="ann")
    >>> person.name, changed(person, first="Bo").name
    ('Ann Lee', 'Bo Lee')
    """
    kind = type(value)
    kept = {**value.__dict__, **fields}
    names = _names(kind)
    if len(kept) > len(names):  # cached properties live among the fields
        kept = {name: kept[name] for name in names}
    copy = kind.__new__(kind)
    _set(copy, "__dict__", kept)
    _set(copy, "__pydantic_fields_set__", value.__pydantic_fields_set__)
    _set(copy, "__pydantic_extra__", None)
    _set(copy, "__pydantic_private__", None)
    return copy
