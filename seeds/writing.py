"""Tables written as a seed file: TOML that says again exactly what it was given."""

import json
import re
from datetime import datetime
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_INLINE = ("schema",)  # a table that is written as a value


def write(tables: dict[str, Any]) -> str:
    """The text of a TOML file; values stand before tables, each in the order given.

    >>> print(write({"name": "x", "cast": {"agent": {"first": "Al"}}, "inbox": [{"id": "a"}]}))
    name = "x"
    <BLANKLINE>
    [cast.agent]
    first = "Al"
    <BLANKLINE>
    [[inbox]]
    id = "a"
    """
    return "\n".join(_lines(tables, ())).strip("\n")


def _lines(tables: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    plain = {key: value for key, value in tables.items() if not _is_table(key, value)}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in tables.items():
        if key in plain:
            continue
        name = ".".join(map(_key, (*path, key)))
        for table in value if isinstance(value, list) else [value]:
            rows = _lines(table, (*path, key))
            if isinstance(value, list):
                rows = ["", f"[[{name}]]", *rows]
            elif not table or any(not _is_table(k, v) for k, v in table.items()):
                rows = ["", f"[{name}]", *rows]
            lines += rows
    return lines


def _is_table(key: str, value: Any) -> bool:
    if key in _INLINE:
        return False
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, dict) for item in value)
    return isinstance(value, dict)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        rows = (f"{_key(key)} = {_inline(item)}" for key, item in value.items())
        return f"{{ {', '.join(rows)} }}"
    if isinstance(value, list | tuple):
        items = [_inline(item) for item in value]
        one_line = f"[{', '.join(items)}]"
        return one_line if len(one_line) < 90 else "[\n    " + ",\n    ".join(items) + ",\n]"
    return str(value)


def _inline(value: Any) -> str:
    return _pattern(value) if isinstance(value, str) else _value(value)


def _pattern(text: str) -> str:
    """In single quotes where that spares a pattern its doubled backslashes."""
    if "\\" in text and "'" not in text and "\n" not in text and not _CONTROL.search(text):
        return f"'{text}'"
    return _string(text)


def _text(text: str) -> str:
    if "\n" not in text:
        return _string(text)
    escaped = re.sub(r'"(?="|\Z)', r'\\"', text.replace("\\", "\\\\"))
    escaped = _CONTROL.sub(lambda match: f"\\u{ord(match.group()):04x}", escaped)
    return f'"""\n{escaped}"""'


def _string(text: str) -> str:
    """A basic string; JSON's escapes are TOML's, all but one character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
