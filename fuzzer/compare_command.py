"""`compare`: two models or two releases on the same variants, as a release gate."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fuzzer.errors import ConfigurationError
from fuzzer.options import json_option

if TYPE_CHECKING:
    from fuzzer.comparison import Comparison


@click.command()
@click.argument("run_a")
@click.argument("run_b")
@click.option(
    "--margin",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="B is no worse while its failure rate exceeds A's by less (0.01: one point).",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 0.5, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="Error rate of each one-sided limit of the difference.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["text", "json", "html"]),
    default="text",
    show_default=True,
    help="A screen, a record for machines, or a page that stands alone.",
)
@click.option("--out", metavar="FILE", help="Write it to a file instead of printing it.")
@json_option
def compare(
    *,
    run_a: str,
    run_b: str,
    margin: float,
    alpha: float,
    kind: str,
    out: str | None,
    as_json: bool,
) -> None:
    """Is the newer release's run (RUN_B) worse than the earlier one's (RUN_A)?

    Pairs the two runs draw by draw: both must have swept the same seeds and transforms with the
    same judge and the same --seed. `sweep --stop budget` gives the most pairs and the sharper test.
    Exits with 0 when B is no worse than A by the margin, 1 when it is worse, 3 when neither is
    shown, 2 when the runs cannot be compared.
    """
    from fuzzer.comparison import compare as compared

    found = compared(run_a, run_b, margin=margin, alpha=alpha)
    kind = "json" if as_json else kind
    if out is not None:
        _write(Path(out), _said(found, kind))
    elif kind == "text":
        from reports.compare import show

        show(found)
    else:
        click.echo(_said(found, kind))
    sys.exit(found.exit_code)


def _said(found: "Comparison", kind: str) -> str:
    """The comparison in one of the formats; text as it prints where nobody watches."""
    if kind == "json":
        return found.model_dump_json(indent=2, ensure_ascii=True)
    if kind == "html":
        from reports.comparison_page import render

        return render(found)
    from reports.compare import text

    return text(found)


def _write(path: Path, said: str) -> None:
    """Whole or not at all."""
    from reports import put_file

    if path.is_dir():
        raise ConfigurationError(f"--out {str(path)!r} is a folder; name a file in it")
    put_file(path, said.rstrip("\n").encode("utf-8", "replace") + b"\n", "holdfast compare")
