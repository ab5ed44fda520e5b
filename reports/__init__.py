"""Records in, reports out: console, HTML, JSON. Importing this package imports no renderer."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fuzzer.material import Material
    from fuzzer.records import Report

__all__ = ["complete", "to_json", "write", "write_page"]


def complete(report: "Report") -> "Report":
    """The report with its verdict as a sentence."""
    from reports.sentence import sentence

    return report if report.sentence else report.model_copy(update={"sentence": sentence(report)})


def to_json(report: "Report") -> bytes:
    """``report.json``: the contract, indented, fields in their declared order, always UTF-8.

    A list of numbers stands on one line: intervals, the thousands of pairs of a graph. What acts on
    a terminal (direction marks, control characters) is escaped: it may be printed.
    """
    import orjson

    from reports.text import seen

    data = complete(report).model_dump(mode="json")
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    try:
        said = orjson.dumps(data, option=option)
    except TypeError:
        said = orjson.dumps(_encodable(data), option=option)
    # No string of JSON holds a line break, so that this finds lists alone.
    said = re.sub(
        rb"\[\n([-+.,\deE\s]+)\]", lambda found: b"[%b]" % b" ".join(found[1].split()), said
    )
    # In ASCII only DEL is left to escape.
    return said if said.isascii() and b"\x7f" not in said else seen(said.decode()).encode()


def write(report: "Report", directory: Path | str, material: "Material | None" = None) -> "Report":
    """Write ``report.json`` and ``report.html``, each whole or not at all.

    Transcripts that the page has no room for go into ``report-data/`` beside it, which is there
    only if it is needed. Returns the report as it was written. Raises `StoreError` where something
    cannot be written; the page that was there still stands then.
    """
    from reports.finding_views import files_beside
    from reports.html import compose
    from reports.parcels import Parcels

    report, directory = complete(report), Path(directory)
    with Parcels(directory) as parcels:
        page = compose(report, material, parcels, files_beside(directory, report.findings))
        put_file(directory / "report.json", to_json(report))
        put_file(directory / "report.html", page.encode())
        parcels.tidy()
    return report


def write_page(report: "Report", path: Path, material: "Material | None" = None) -> None:
    """Write the page alone, wherever it is wanted, with what it has no room for beside it.

    Other pages may keep theirs in the same ``report-data/``, so nothing there is removed. Raises
    `StoreError` where something cannot be written.
    """
    from reports.html import compose
    from reports.parcels import Parcels

    with Parcels(path.parent) as parcels:
        put_file(path, compose(complete(report), material, parcels).encode())


def put_file(path: Path, content: bytes, again: str = "holdfast report") -> None:
    """Write beside the file, then rename: a reader sees the old file or the new one.

    Raises `StoreError` where nothing can be written, naming the command to run `again`.
    """
    import os

    from fuzzer.errors import StoreError

    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise StoreError(
            f"cannot write {str(path)!r} ({error.strerror}); free or allow the place and run "
            f"`{again}` on the run"
        ) from None


def _encodable(value: object) -> object:
    """The same JSON with lone surrogates replaced: UTF-8 has no place for them."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_encodable(inner) for inner in value]
    return value
