"""What every provider's subject needs at the edge: settings, addresses, waits, foreign text."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fuzzer.errors import ConfigurationError, unknown
from fuzzer.secrets import Secrets

S = TypeVar("S", bound=BaseModel)

_URL = re.compile(r"https?://([^\s/@:?#]+|\[[\da-fA-F:]+\])(:\d{1,5})?(/[^\s@?#]*)?")


def read_settings(kind: type[S], given: Mapping[str, Any], secrets: Secrets) -> S:
    """What ``-M`` gave, as a provider's own settings; `ConfigurationError` for what cannot be."""
    for name in given:
        if name not in kind.model_fields:
            hint = "; a key belongs in the environment" if "key" in name.lower() else ""
            raise ConfigurationError(unknown("setting", name, kind.model_fields) + hint)
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        said = secrets.scrub(repr(first["input"]))
        raise ConfigurationError(
            f"setting {first['loc'][0]} = {said:.60} is not possible: {first['msg']}"
        ) from None


RETRY_AFTER = {"retry-after-ms": 0.001, "retry-after": 1.0}  # headers, and their units in seconds


def is_url(text: str) -> bool:
    """Whether it is the address of a server, with no password in it.

    >>> is_url("http://localhost:8000/v1"), is_url("http://me:secret@localhost")
    (True, False)
    """
    return _URL.fullmatch(text) is not None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds a server asks to wait; None where it does not, or nobody can read it.

    >>> retry_after({"retry-after": "2"}), retry_after({"retry-after-ms": "30"}), retry_after({})
    (2.0, 0.03, None)
    """
    for name, unit in RETRY_AFTER.items():
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:  # RFC 9110, 10.2.3: a date will do as well
        until = parsedate_to_datetime(headers["retry-after"])
    except (KeyError, ValueError, OverflowError):  # the last: a year no machine counts to
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def short(text: str) -> str:
    r"""Foreign text for a sentence of ours: one line, printable, not long.

    >>> short("no such\nmodel\x1b[31m")
    'no such model [31m'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= 200 else f"{line[:200]}…"
