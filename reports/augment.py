"""What an export came to, for the screen."""

import sys
from typing import TYPE_CHECKING, TextIO

from rich.table import Table

from reports.screen import console
from reports.text import line, plural

if TYPE_CHECKING:
    from fuzzer.augment.making import Done
    from fuzzer.augment.sampling import Sampled


def exported(done: "Done", *, stream: TextIO | None = None) -> None:
    """Print what was written, what was left out, and what a test may still rely on."""
    out = console(stream or sys.stdout)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("seed")
    table.add_column("rows", justify="right")
    for name, count in done.seeds.items():
        table.add_row(line(name, 60), f"{count:,}")
    if done.seeds:
        out.print(table)
        out.print()
    left = {
        "word for word a row before it": done.repeated,
        "too like what is held out": done.alike,
        "blind": done.blind,
        **done.left_out,
    }
    told = "; ".join(f"{count:,} {line(why, 80)}" for why, count in left.items() if count)
    out.print(f"{plural(done.rows, 'row')} for {done.target}; left out: {told or 'none'}.")
    for name, rows in done.formats.items():
        if rows < done.rows:
            missing = plural(done.rows - rows, "row")
            out.print(f"The format {name} has no place for {missing}.", style="magenta")
    if done.manifest:
        out.print(
            f"Split {done.manifest[:12]}: held-out stories, families and values are in no row. "
            "Test with holdfast sweep --held-out MANIFEST."
        )
    else:
        out.print(
            "Nothing is held out: no sweep of a model trained on this can show that a score holds.",
            style="magenta",
        )
    state = "Written to" if done.finished else "One shard written to"
    out.print(f"{state} {line(str(done.out), 200)} (canary {done.canary}).")


def asked(sampled: "Sampled", *, stream: TextIO | None = None) -> None:
    """Print what a model's answers come to."""
    out = console(stream or sys.stdout)
    told = ", ".join(f"{count:,} {line(value, 20)}" for value, count in sampled.counts.items())
    out.print(f"{plural(sampled.calls, 'call')} to {line(sampled.model, 60)}: {told or 'none'}.")
    out.print(
        f"{sampled.useful:,} safe with all of the ordinary job done. Counts, not rates: they are "
        "no evidence of anything."
    )
    if sampled.stopped:
        out.print(f"Ended early: {line(sampled.stopped, 200)}.", style="magenta")
    where = line(str(sampled.out), 200)
    out.print(f"Next: holdfast augment environments --target sft --from {where}")
