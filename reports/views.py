"""What the other commands print on a terminal: lists, and a variant beside its seed."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TextIO

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.difference import Difference
from reports.difference_views import rich_lines
from reports.screen import put
from reports.text import call, line, plain, plural


def listing(rows: Sequence[Mapping[str, Any]], *, stream: TextIO | None = None) -> None:
    """Print rows: the first value, the short ones beside it, the summary on lines of its own."""
    put(lambda _: _listed(rows), stream)


def _listed(rows: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """Name and facts in two columns, so that long facts stay in theirs."""
    width = max((len(line(next(iter(row.values())))) for row in rows), default=0)
    for row in rows:
        name, *rest = ((key, value) for key, value in row.items() if key != "summary")
        facts = (
            f"{key} {line(value)}" if key in ("version", "elicits") else line(value)
            for key, value in rest
            if value is not None
        )
        head = Table.grid(padding=(0, 2, 0, 0))
        head.add_column(width=width, overflow="fold")
        head.add_column()
        head.add_row(Text(line(name[1]), style="bold"), Text(" · ".join(facts)))
        yield head
        yield Padding(Text(line(row["summary"], 400)), (0, 0, 0, 4))


def variant(
    shown: Mapping[str, Any],
    difference: Difference | None = None,
    *,
    only: Literal["", "request", "difference"] = "",
    stream: TextIO | None = None,
) -> None:
    """Print a variant as `holdfast show` does: request, controls, difference from the seed.

    Without a `difference` the variant is the seed as it is, unless `only` the request is wanted.
    """
    put(lambda width: _variant(shown, difference, only, width), stream)


def _variant(
    shown: Mapping[str, Any], difference: Difference | None, only: str, width: int
) -> Iterator[RenderableType]:
    yield Text(_named(shown), style="bold")
    if shown["blind"]:
        yield Text(plain(f"Blind: {'; '.join(shown['blind'])}"), style="red")
    if only != "difference":
        yield from _request(shown["request"])
    if not only:
        yield from (block for control in shown["controls"] for block in _control(control))
    if only != "request":
        yield _heading("Difference from the seed")
        if difference is None:
            yield Text("None: this is the seed as it is.")
        elif not difference.changed:
            yield Text("No word of the request differs.")
        else:
            yield from rich_lines(difference, width)


def _named(shown: Mapping[str, Any]) -> str:
    """Which variant it is, on one line."""
    steps = ", ".join(line(step["transform"], 60) for step in shown["plan"]["steps"]) or "none"
    dropped = shown["plan"].get("drop") or ()
    less = f", less {plural(len(dropped), 'part')}" if dropped else ""
    return f"Variant {line(shown['id'], 40)}: {steps}{less} (distance {shown['distance']})"


def _request(request: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield _heading("System")
    yield Text(plain(request["system"]))
    yield _heading("User")
    yield Text(plain(request["messages"][0]["content"]))
    for tool in request["tools"]:
        yield _heading(f"Tool {line(tool['name'])}")
        yield Text(plain(tool["description"]))
        for depth, told in _parameters(tool["input_schema"]):
            yield Padding(Text(told), (0, 0, 0, 2 * depth))


def _parameters(schema: Mapping[str, Any], depth: int = 1) -> Iterator[tuple[int, str]]:
    """The parameters of a schema, one to a line, those of an object within it below it."""
    required = schema.get("required") or ()
    for name, inner in (schema.get("properties") or {}).items():
        if not isinstance(inner, Mapping):  # a schema that allows anything, or nothing
            inner = {"allowed": bool(inner)}
        known = {key: inner[key] for key in inner if key not in _TOLD}
        kind = inner.get("type", "")
        kind = kind if isinstance(kind, str) else " or ".join(map(str, kind))
        facts = [kind, "required" if name in required else "optional"]
        facts += [f"{key} {json.dumps(value, ensure_ascii=False)}" for key, value in known.items()]
        said = inner.get("description", "")
        told = f"{line(name, 80)} ({', '.join(line(fact, 400) for fact in facts if fact)})"
        yield depth, f"{told}: {line(said, 2_000)}" if said else told
        items = inner.get("items")
        for nested in (inner, items if isinstance(items, Mapping) else {}):
            yield from _parameters(nested, depth + 1)


_TOLD = ("type", "description", "properties", "required", "items")  # shown, each in its place


def _control(control: Mapping[str, Any]) -> Iterator[RenderableType]:
    name = f"Control {line(control['name'])}"
    yield _heading(f"{name}: {control['verdict']}, judged {control['judged']}")
    if said := plain("\n".join(turn for turn in control["turns"] if turn)):
        yield Text(said)
    for made in control["calls"]:
        yield Padding(Text(plain(call(made["name"], made["input"]))), (0, 0, 0, 2))


def _heading(text: str) -> Text:
    return Text(f"\n{text}", style="bold")
