"""A scenario written as a seed file: the text that `load_seed` reads back as the same scenario.

Written here rather than by a library: those double every backslash of a pattern and run a mail into
one line, and a seed file is there to be read and mended by people.
"""

import json
import re
import tomllib
import uuid
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from fuzzer.errors import SeedError
from fuzzer.scenario import Scenario
from seeds.building import build

_MARK = """\
# Evaluation data for Holdfast. Keep this file out of training corpora; where it has got into one,
# please take out every document that carries the mark below.
# holdfast canary GUID {}

"""
_FIRST = (  # what says what a seed is stands above everything else
    *("name", "version", "summary", "exposure", "elicits", "twin_of", "family", "industry"),
    *("conflict", "medium", "language", "channel", "format"),
)


def to_toml(seed: Scenario) -> str:
    """The text of a seed file, with a mark of its own for whoever assembles training data.

    What a file leaves to its defaults is left out. Raises `SeedError` for a scenario that no file
    can hold: a text that begins or ends with an empty line, a schema with ``null`` in it.
    """
    mark = _MARK.format(uuid.uuid5(uuid.NAMESPACE_OID, seed.content_hash))
    text = f"{mark}{write(tables(seed))}\n"
    try:
        same = build(tomllib.loads(text)) == seed
    except (SeedError, ValidationError, tomllib.TOMLDecodeError):
        same = False
    if not same:
        raise SeedError(
            f"seed {seed.name!r}: no seed file can hold all of it as it is; take empty lines from "
            "the ends of its texts and null from the schemas of its tools"
        )
    return text


def tables(seed: Scenario) -> dict[str, Any]:
    """The tables of a seed file, as `seeds.building.build` reads them."""
    data = _without_none(seed.model_dump(exclude_defaults=True))
    found = {key: data.pop(key) for key in _FIRST if key in data}
    for key in ("style", "clock"):
        if key in data:
            found[key] = data.pop(key)
    for key in ("organisation", "cast"):
        found[key] = {row.pop("role"): row for row in data.pop(key)}
    ledger = data.pop("ledger")
    controls = ledger.pop("controls", [])
    listed = {key: ledger.pop(key) for key in ("acts", "utility") if key in ledger}
    for key in ("goal", "threat", "leverage", "system", "inbox", "tools"):
        found[key] = data.pop(key)
    for message in found["inbox"]:
        message["from"] = message.pop("sender")
    for control in controls:
        control["actions"] = [
            {"role": play["role"], **play["args"]} for play in control.get("actions", ())
        ]
    return {**found, **data, "ledger": ledger, "controls": controls, **listed}


def _without_none(value: Any) -> Any:
    """The value with what is None left out, and every tuple as a list."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value]
    return value


# ------------------------------------------------------------------------------------------ TOML

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # which TOML wants escaped in every string
_WIDE = 96  # characters of a line that is not broken up
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
    return key if _BARE.fullmatch(key) else _quoted(key)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _long(value) if "\n" in value else _quoted(value)
    if isinstance(value, list | tuple):
        items = [_inline(item) for item in value]
        line = f"[{', '.join(items)}]"
        return line if len(line) <= _WIDE else "[\n    " + ",\n    ".join(items) + ",\n]"
    return _inline(value)


def _inline(value: Any) -> str:
    """A value on one line; a pattern as it is, where quotes that escape nothing can hold it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        plain = "\\" in value and "'" not in value and "\n" not in value
        return f"'{value}'" if plain and not _CONTROL.search(value) else _quoted(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        rows = (f"{_key(key)} = {_inline(item)}" for key, item in value.items())
        return f"{{ {', '.join(rows)} }}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_inline, value))}]"
    return str(value)


def _long(text: str) -> str:
    """A text of several lines, with its lines as they are."""
    text = text.replace("\\", "\\\\")
    text = re.sub(r'"(?="|\Z)', r'\\"', text)  # neither three in a row nor one at the end
    return f'"""\n{_CONTROL.sub(_escaped, text)}"""'


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match.group()):04x}"


def _quoted(text: str) -> str:
    """A string on one line; the escapes of JSON are TOML's, which wants one character more."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
