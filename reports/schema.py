"""The JSON Schema of ``report.json``, as this version of Holdfast writes it.

``report.schema.json`` beside this module is made from `fuzzer.records.Report`, with what the
comments there say of a field as its description. `python -m reports.schema` writes it again after a
change of the records; a test holds it to them. Later versions may add fields and rename none, so
the schema takes fields it does not know, and asks for none that a version may have left out.
"""

import inspect
import io
import re
import sys
import tokenize
from pathlib import Path

import orjson

from fuzzer.records import Report

FILE = Path(__file__).with_name("report.schema.json")
ID = "urn:holdfast:report:1"
_FIELD = re.compile(r"    (\w+): ")


def published() -> bytes:
    """The schema that lies beside this module."""
    return FILE.read_bytes()


def generate() -> bytes:
    """The schema as the records are now, indented, keys sorted within each definition."""
    found = Report.model_json_schema(mode="serialization")
    described = _comments(inspect.getsource(sys.modules[Report.__module__]))
    for name, definition in [("Report", found), *found["$defs"].items()]:
        for field, said in described.get(name, {}).items():
            if field in definition.get("properties", {}):
                definition["properties"][field].setdefault("description", said)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "Holdfast report, schema version 1",
    }
    for definition in (found, *found["$defs"].values()):
        definition.pop("additionalProperties", None)
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_SORT_KEYS
    return orjson.dumps(found | head, option=option)


def _comments(source: str) -> dict[str, dict[str, str]]:
    """What stands beside a field (``# …``) or above it (``#: …``), by class and field."""
    comments = {
        token.start[0]: token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found: dict[str, dict[str, str]] = {}
    inside, above = "", list[str]()
    for number, text in enumerate(source.splitlines(), start=1):
        said = comments.get(number, "")
        if match := re.match(r"class (\w+)", text):
            inside, above = match[1], []
        elif match := _FIELD.match(text):
            own = [said.removeprefix("#").strip()] if said else []
            if told := " ".join([*above, *own]):
                found.setdefault(inside, {})[match[1]] = told
            above = []
        elif said.startswith("#:"):
            above.append(said.removeprefix("#:").strip())
        else:
            above = []
    return found


if __name__ == "__main__":
    FILE.write_bytes(generate())
