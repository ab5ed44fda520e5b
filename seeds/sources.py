"""What an import is made from: the text, in one of several kinds of file, and its annotation."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from fuzzer.errors import SeedError, unknown
from seeds.building import short

FACETS = ("goal", "threat", "leverage")
PLAIN = (  # fields of a seed that an import takes over as they are
    *("exposure", "elicits", "channel", "format", "twin_of", "family", "industry", "conflict"),
)
LISTS = ("tools", "acts", "utility", "controls")
_FIELDS = (
    *("name", "version", "summary", *PLAIN, "style", "clock", "organisation", "cast", *FACETS),
    *("ledger", *LISTS, "sample", "system", "blocks"),
)
_SLUG = re.compile(r"[^a-z0-9]+")


def notes(path: Path) -> dict[str, Any]:
    """The annotation's tables; `SeedError` for a field that is none, or no table."""
    try:
        found = tomllib.loads(_read(path, "annotation"))
    except tomllib.TOMLDecodeError as error:
        raise SeedError(f"{path}: not valid TOML: {error}; mend that line") from None
    for key in found:
        if key == "inbox" or (key == "system" and not isinstance(found[key], str)):
            raise SeedError(f"{path}, {key}: this comes from the text; take it out")
        if key not in _FIELDS:
            raise SeedError(f"{path}: {unknown('field', key, _FIELDS)}")
    for key in ("organisation", "cast", *FACETS, "blocks", "clock", "ledger", "style"):
        table = found.get(key, {})
        rows = [(key, table)]
        if key in ("organisation", "cast") and isinstance(table, dict):
            rows = [(f"{key}.{role}", row) for role, row in table.items()]
        for where, row in rows:
            if not isinstance(row, dict):
                raise SeedError(f"{path}, {where}: {short(row)} is not a table; write [{where}]")
    for facet in FACETS:
        if "text" in found.get(facet, {}):
            raise SeedError(f"{path}, {facet}.text: this comes from the text; quote it as quote")
    for key in LISTS:
        rows = found.get(key, [])
        if not (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
            raise SeedError(f"{path}, {key}: write [[{key}]], with two brackets, for each")
    return found


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise SeedError(
            f"{path}: not UTF-8 text (byte {error.start}); save it with that encoding"
        ) from None
    except OSError as error:
        raise SeedError(
            f"{path}: cannot read this {what} ({error.strerror}); name a file"
        ) from None


def texts(source: Path, annotation: Path, notes: dict[str, Any]) -> tuple[str, str, str]:
    """What the system prompt and the user say, and a name for the seed."""
    system = ""
    if "system" in notes:
        system = _read(annotation.parent / notes["system"], "text")
    name = _SLUG.sub("-", source.stem.lower()).strip("-") or "imported"
    raw = _read(source, "file")
    if source.suffix not in (".json", ".jsonl"):
        return system, raw, name
    sample = _sample(raw, source, notes)
    if "user" in sample:
        given, said = sample.get("system", ""), sample["user"]
    elif "input" in sample:
        given, said = _chat(sample["input"], source)
    else:
        raise SeedError(f"{source}: neither 'input' nor 'user' is in it; give what the user says")
    for key, value in (("system", given), ("user", said)):
        if not isinstance(value, str):
            raise SeedError(f"{source}, {key}: {short(value)} is no text; write it as one")
        if not value.isprintable() and any("\ud800" <= c <= "\udfff" for c in value):
            raise SeedError(f"{source}, {key}: holds half of a character; write it whole")
    parts = [part for part in (system, given) if part.strip()]
    return "\n\n".join(parts), said, name


def _sample(raw: str, source: Path, notes: dict[str, Any]) -> dict[str, Any]:
    """The sample that is meant; a file may hold one or several."""
    try:
        if source.suffix == ".jsonl":
            found = [json.loads(line) for line in raw.split("\n") if line.strip()]
        else:
            whole = json.loads(raw)
            found = whole if isinstance(whole, list) else [whole]
    except ValueError as error:
        raise SeedError(f"{source}: not valid JSON: {error}; mend it there") from None
    if not found or not all(isinstance(sample, dict) for sample in found):
        raise SeedError(f"{source}: no sample; write an object, or a list of them")
    samples: list[dict[str, Any]] = found
    wanted = notes.get("sample", 1 if len(found) == 1 else None)
    ids = [str(sample.get("id", number)) for number, sample in enumerate(found, start=1)]
    if wanted is None:
        raise SeedError(
            f'{source}: holds {len(found)} samples; say which in the annotation, sample = "ID" '
            f"(ids: {', '.join(ids[:9])}{', …' if len(ids) > 9 else ''})"
        )
    if str(wanted) in ids:
        return samples[ids.index(str(wanted))]
    if isinstance(wanted, int) and 1 <= wanted <= len(found):
        return samples[wanted - 1]
    raise SeedError(f"{source}: {unknown('sample', str(wanted), ids)}")


def _chat(given: Any, source: Path) -> tuple[Any, Any]:
    """System and user text of an Inspect input."""
    if not isinstance(given, list):
        return "", given
    said: dict[str, list[str]] = {"system": [], "user": []}
    for number, message in enumerate(given, start=1):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in said:
            raise SeedError(
                f"{source}, input {number}: a message of {role!r} cannot be part of a seed, which "
                "ends where the subject begins; leave it out"
            )
        content = message.get("content", "")
        if isinstance(content, list):
            content = "\n\n".join(
                part["text"] if isinstance(part, dict) and "text" in part else "\0"
                for part in content
            )
        if not isinstance(content, str) or "\0" in content:
            raise SeedError(f"{source}, input {number}: only text can be brought in; leave it out")
        said[role].append(content)
    return "\n\n".join(said["system"]), "\n\n".join(said["user"])
