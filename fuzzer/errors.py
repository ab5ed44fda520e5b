"""The exceptions a user can meet, each one clear sentence: what is wrong, where, what to do.

::

    HoldfastError            shown as a message without a traceback; exit code 2
    ├── SeedError            a seed does not say what it must (file, field, fix)
    ├── TranslationError     what a model gave as a translation cannot be trusted (text, why)
    ├── CatalogueError       an unknown transform, impossible parameters, contradictory order
    ├── DeclarationError     a transform changed what it did not declare (transform, facet, fix)
    ├── ConfigurationError   an unknown model, an impossible option, nothing left to draw
    │   └── RequestRejected  a server refused the form of a request, before any was answered
    ├── CarryingError        a performance cannot be told in another variant's terms (what, why)
    └── StoreError           a run on disk cannot be written, read or resumed (path, fix)

Whatever a *subject* does is never an error: it is a verdict.
"""

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class HoldfastError(Exception):
    """Base of every error that is the user's to mend."""


class SeedError(HoldfastError):
    """A seed file does not say what it must."""


class TranslationError(HoldfastError):
    """A seed in another language cannot be had from this model; the original is as it was."""


class CatalogueError(HoldfastError):
    """A plan or a catalogue names something that cannot be."""


class DeclarationError(HoldfastError):
    """A transform touched a facet it did not declare."""


class ConfigurationError(HoldfastError):
    """An option, a model or an environment that cannot work."""


class RequestRejected(ConfigurationError):
    """A server refuses the form of a request.

    Before any call was answered nothing else can be expected of the next one; afterwards it is this
    variant's matter alone.
    """


class CarryingError(HoldfastError):
    """What a subject did has no counterpart in another variant."""


class StoreError(HoldfastError):
    """A run on disk cannot be written, read or resumed."""


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The sentence for an unknown name, with the nearest known one.

    >>> unknown("seed", "blackmial", ["blackmail", "leaking"])
    "unknown seed 'blackmial'; did you mean 'blackmail'? Known: blackmail, leaking"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else "."
    return f"unknown {kind} {name!r}{guess} Known: {', '.join(names) or 'none'}"


def first_fault(error: "ValidationError", whole: str) -> str:
    """The first thing wrong with a value, as ``where: what``; `whole` names the value itself.

    >>> from pydantic import TypeAdapter, ValidationError
    >>> try:
    ...     TypeAdapter(dict[str, int]).validate_json('{"n": "many"}')
    ... except ValidationError as error:
    ...     first_fault(error, "the file")
    'n: Input should be a valid integer, unable to parse string as an integer'
    """
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or whole}: {first['msg']}"
