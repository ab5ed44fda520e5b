"""Keys stay out of everything that is kept or shown.

A key is known by the name of the environment variable that holds it. What a server echoes, a
subject repeats or an exception quotes is cleaned where it leaves the process.
"""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

_NAME = re.compile(r"(?i)(api_?key|access_?key|secret_?key|token|secret|password|credentials?)$")
_CREDENTIAL = re.compile(r"(?i)api[-_]?key|auth[-_]?token|secret|password|authorization|credential")
LEAST = 12  # characters; what is shorter ("ollama", "EMPTY") only fills the place of a key
IN_PLACE = "(key)"


class Secrets:
    """The values that may not leave; the longest first, should one hold another."""

    def __init__(self, values: Iterable[str]) -> None:
        held = {value.strip() for value in values}
        self._values = sorted((v for v in held if len(v) >= LEAST), key=len, reverse=True)

    @classmethod
    def of(cls, environment: Mapping[str, str] | None = None) -> "Secrets":
        """Those of the environment's variables that are named like keys.

        >>> Secrets.of({"OPENAI_API_KEY": "sk-0123456789"}).scrub("it is sk-0123456789")
        'it is (key)'
        """
        known = os.environ if environment is None else environment
        return cls(value for name, value in known.items() if _NAME.search(name))

    def scrub(self, text: str) -> str:
        """The text without them."""
        for value in self._values:
            if value in text:
                text = text.replace(value, IN_PLACE)
        return text

    def __repr__(self) -> str:
        return f"Secrets({len(self._values)} values)"


def without_credentials(value: Any) -> Any:
    """The value with everything under a key like ``api_key`` replaced: keys are never stored.

    >>> without_credentials({"settings": {"api_key": "sk-1", "max_tokens": 9}})
    {'settings': {'api_key': '(not stored)', 'max_tokens': 9}}
    """
    if isinstance(value, Mapping):
        return {
            key: "(not stored)" if _CREDENTIAL.search(str(key)) else without_credentials(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_credentials(inner) for inner in value]
    return value
