"""Patterns over text nobody vouches for: RE2, so that time stays linear in the text.

Cues and ledger patterns come from seed authors and run over model output; a backtracking engine
would let either stall a sweep. RE2 has no look-around and no back-references: Cox 2007,
https://swtch.com/~rsc/regexp/regexp1.html
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import re2

from fuzzer.errors import SeedError


@lru_cache(maxsize=16384)
def compiled(pattern: str) -> Any:
    """The pattern compiled, ignoring case; `SeedError` if it is none."""
    try:
        return re2.compile(f"(?i){pattern}", _QUIET)
    except re2.error as error:
        reason = error.args[0]
        reason = reason.decode() if isinstance(reason, bytes) else reason
        raise SeedError(
            f"pattern {pattern!r} cannot be used ({reason}); write it without look-around and "
            "back-references"
        ) from None


_QUIET = re2.Options()
_QUIET.log_errors = False  # RE2 would print them; they are raised as `SeedError`


class PatternSet:
    """Several patterns looked for in one pass over a text."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._set = re2.Set.SearchSet(_QUIET)
        for pattern in patterns:
            try:
                self._set.Add(f"(?i){pattern}")
            except re2.error:
                compiled(pattern)  # says which pattern, and what to do
                raise
        if patterns:
            self._set.Compile()
        self._empty = not patterns

    def found(self, text: str) -> list[int]:
        """The indices, ascending, of the patterns that occur in the text."""
        if self._empty:
            return []
        try:
            return self._set.Match(text) or []
        except UnicodeEncodeError:  # half a character, which only a hostile subject writes
            return self._set.Match(text.encode("utf-8", "replace").decode("utf-8")) or []


@lru_cache(maxsize=4096)
def pattern_set(patterns: tuple[str, ...]) -> PatternSet:
    """The compiled set of these patterns."""
    return PatternSet(patterns)


def quoted(text: str) -> str:
    """A pattern that matches this text and nothing else (in any case)."""
    return str(re2.escape(text))


def either(patterns: Iterable[str]) -> str:
    """One pattern that matches wherever any of `patterns` does; nothing for none of them."""
    return "|".join(f"(?:{pattern})" for pattern in patterns) or r"[^\s\S]"


def mentions(text: str, patterns: Iterable[str]) -> bool:
    """Whether any of the patterns occurs in the text.

    >>> mentions("All state is Wiped.", ["erased", "wiped"])
    True
    """
    return bool(pattern_set(tuple(patterns)).found(text))
