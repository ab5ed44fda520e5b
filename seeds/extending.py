"""One seed file on top of another: a condition or a twin says only what is different in it."""

from typing import Any

from fuzzer.errors import SeedError, unknown

OWN = ("name", "version", "summary", "twin_of", "elicits")  # never taken over
_KEYS = {  # what names an entry of a list of tables
    **dict.fromkeys(("system", "inbox"), "id"),
    **dict.fromkeys(("tools", "controls", "acts", "utility"), "name"),
}


def extended(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The tables of `base` with those of `own` over them.

    Tables merge field by field. Entries of lists merge by id or name; new ones are added, messages
    by their age and prompt blocks at the end, or behind the one named by ``after``. ``without``
    lists what is left out, as ``inbox.ID``. Raises `SeedError` for a name that stands for nothing.
    """
    own = dict(own)
    merged = {key: value for key, value in base.items() if key not in OWN}
    for entry in own.pop("without", ()):
        _leave_out(merged, entry)
    for key, value in own.items():
        if key in _KEYS and isinstance(value, list):
            merged[key] = _entries(merged.get(key, []), value, key)
        elif isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _table(merged[key], value)
        else:
            merged[key] = value
    return merged


def _table(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        both = isinstance(value, dict) and isinstance(base.get(key), dict)
        merged[key] = _table(base[key], value) if both else value
    return merged


def _entries(base: list[Any], own: list[Any], table: str) -> list[Any]:
    key = _KEYS[table]
    merged = list(base)
    for entry in own:
        if not isinstance(entry, dict) or key not in entry:
            raise SeedError(f"{table}: every entry needs its {key}; add it")
        entry = dict(entry)
        after = entry.pop("after", None)
        ids = [one.get(key) for one in merged]
        if entry[key] in ids:
            at = ids.index(entry[key])
            merged[at] = {**merged[at], **entry}
        elif after is None:
            merged.append(entry)
        elif after in ids:
            merged.insert(ids.index(after) + 1, entry)
        else:
            raise SeedError(f"{table}.{entry[key]}.after: {unknown(key, after, ids)}")
    if table == "inbox":
        merged.sort(key=lambda message: -message.get("ago", 0))
    return merged


def _leave_out(merged: dict[str, Any], entry: Any) -> None:
    table, _, wanted = str(entry).partition(".")
    found = merged.get(table)
    if table == "cast" and isinstance(found, dict) and wanted in found:
        merged[table] = {role: person for role, person in found.items() if role != wanted}
        return
    if table == "organisation" and isinstance(found, dict) and wanted in found:
        merged[table] = {role: one for role, one in found.items() if role != wanted}
        return
    key = _KEYS.get(table, "id")
    ids = [one.get(key) for one in found] if isinstance(found, list) else list(found or ())
    if wanted not in ids or not isinstance(found, list):
        raise SeedError(f"without: {entry!r} leaves nothing out; {unknown(table, wanted, ids)}")
    merged[table] = [one for one in found if one.get(key) != wanted]
