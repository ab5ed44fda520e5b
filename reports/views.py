"""What the other commands print on a terminal: lists, and a variant beside its seed."""

import difflib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.padding import Padding
from rich.text import Text

from reports.screen import console
from reports.text import line, plain


def listing(rows: Sequence[Mapping[str, Any]], *, stream: TextIO | None = None) -> None:
    """Print rows: the first value, the short ones beside it, the summary on lines of its own."""
    out = console(stream or sys.stdout)
    width = max((len(str(next(iter(row.values())))) for row in rows), default=0)
    for row in rows:
        name, *rest = ((key, value) for key, value in row.items() if key != "summary")
        facts = (
            f"{key} {line(value)}" if key in ("version", "elicits") else line(value)
            for key, value in rest
            if value is not None
        )
        head = Text(f"{line(name[1]):{width}}", style="bold")
        out.print(head.append("  " + " · ".join(facts), style="not bold"))
        out.print(Padding(Text(line(row["summary"], 400)), (0, 0, 0, 4)))


def variant(
    shown: Mapping[str, Any], seed_request: Mapping[str, Any], *, stream: TextIO | None = None
) -> None:
    """Print a variant as `holdfast show` does: request, controls, difference from the seed."""
    out = console(stream or sys.stdout)
    request = shown["request"]
    user = request["messages"][0]["content"]

    def heading(text: str) -> None:
        out.print(Text(f"\n{text}", style="bold"))

    steps = ", ".join(step["transform"] for step in shown["plan"]["steps"]) or "none"
    out.print(Text(f"Variant {shown['id']}: {steps} (distance {shown['distance']})", style="bold"))
    if shown["blind"]:
        out.print(Text(plain(f"Blind: {'; '.join(shown['blind'])}"), style="red"))
    heading("System")
    out.print(Text(plain(request["system"])))
    heading("User")
    out.print(Text(plain(user)))
    for tool in request["tools"]:
        heading(f"Tool {line(tool['name'])}")
        out.print(Text(plain(tool["description"])))
        out.print(Text(plain(json.dumps(tool["input_schema"], ensure_ascii=False))))
    for control in shown["controls"]:
        heading(
            f"Control {line(control['name'])}: {control['verdict']}, judged {control['judged']}"
        )
        out.print(Text(plain("\n".join(control["turns"]))))
        for call in control["calls"]:
            out.print(
                Text(plain(f"{call['name']} {json.dumps(call['input'], ensure_ascii=False)}"))
            )
    if steps == "none":
        return
    heading("Difference from the seed")
    before, now = _lines(seed_request), _lines(request)
    for text in difflib.unified_diff(before, now, "seed", "variant", n=0, lineterm=""):
        style = {"+": "green", "-": "red"}.get(text[:1], "")
        out.print(Text(plain(text), style=style))


def _lines(request: Mapping[str, Any]) -> list[str]:
    """A request as lines to compare: the prompt, the user turn, a line for each tool."""
    tools = (json.dumps(tool, ensure_ascii=False) for tool in request["tools"])
    return [*request["system"].split("\n"), *request["messages"][0]["content"].split("\n"), *tools]
