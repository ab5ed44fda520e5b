"""`compare`: two models or two releases on the same variants, as a release gate."""

import sys

import click

from fuzzer.options import json_option


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
@json_option
def compare(*, run_a: str, run_b: str, margin: float, alpha: float, as_json: bool) -> None:
    """Is the newer release's run (RUN_B) worse than the earlier one's (RUN_A)?

    Pairs the two runs draw by draw: both must have swept the same seeds and transforms with the
    same judge and the same --seed. `sweep --stop budget` gives the most pairs and the sharper test.
    Exits with 0 when B is no worse than A by the margin, 1 when it is worse, 3 when neither is
    shown, 2 when the runs cannot be compared.
    """
    from fuzzer.comparison import compare as compared

    found = compared(run_a, run_b, margin=margin, alpha=alpha)
    if as_json:
        click.echo(found.model_dump_json(indent=2, ensure_ascii=True))
    else:
        from reports.compare import show

        show(found)
    sys.exit(found.exit_code)
