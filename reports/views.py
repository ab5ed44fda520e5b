"""What the other commands print on a terminal: lists, and a variant beside its seed."""

import difflib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from rich.table import Table
from rich.text import Text

from reports.console import console
from reports.text import line, plain


def listing(rows: Sequence[Mapping[str, Any]], *, stream: TextIO | None = None) -> None:
    """Print rows of equal keys as a table, the last column taking the room that is left."""
    out = console(stream or sys.stdout)
    if not rows:
        out.print(Text("Nothing found."))
        return
    table = Table(*rows[0], box=None, pad_edge=False, header_style="bold", expand=True)
    for row in rows:
        table.add_row(*(Text(line("" if value is None else value, 300)) for value in row.values()))
    out.print(table)


def variant(shown: Mapping[str, Any], seed_text: str, *, stream: TextIO | None = None) -> None:
    """Print what `holdfast show` knows of a variant: request, controls, difference from the seed."""
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
    now = "\n\n".join([request["system"], user])
    before = seed_text.splitlines()
    for text in difflib.unified_diff(before, now.splitlines(), "seed", "variant", n=0, lineterm=""):
        style = {"+": "green", "-": "red"}.get(text[:1], "")
        out.print(Text(plain(text), style=style))
