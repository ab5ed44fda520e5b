"""`shrink`: the findings of a finished run, each to the least that still fails."""

import sys
from pathlib import Path
from typing import Any

import click

from fuzzer.errors import ConfigurationError
from fuzzer.options import (
    json_option,
    judge_options,
    plugin_option,
    rate_options,
    reaching_options,
    read_judge,
    read_settings,
    read_spending,
    spending_options,
)


@click.command()
@click.argument("run")
@click.option(
    "--finding", "findings", multiple=True, metavar="ID", help="Only this one; repeatable [all]."
)
@click.option(
    "--shrink-budget",
    type=int,
    metavar="N",
    help="Calls to shrink, those already made counted [200 more].",
)
@click.option("--model", help="What was swept, if its name does not say where it is.")
@reaching_options
@judge_options
@spending_options
@rate_options
@plugin_option
@json_option
def shrink(
    *,
    run: str,
    findings: tuple[str, ...],
    shrink_budget: int | None,
    model: str | None,
    price: str | None,
    prices: str | None,
    plugins: tuple[str, ...],
    as_json: bool,
    **given: Any,
) -> None:
    """The smallest scenario of each finding that still fails.

    Goes on where the sweep's own shrinks ended: first the smallest set of steps, certified on fresh
    calls; then the simplest values of their parameters; then the text, mail by mail and sentence by
    sentence. May be interrupted and given again. Model, settings and seeds are the run's own; a
    judge other than the rules must be named again. Exits as the sweep did; with 130 when
    interrupted.
    """
    if shrink_budget is not None and shrink_budget < 0:
        raise ConfigurationError(f"--shrink-budget {shrink_budget} is not possible; at least 0")
    spending = read_spending(given)
    from contextlib import nullcontext

    from fuzzer.evidence import confidence_sequence
    from fuzzer.registry import plugged_in
    from fuzzer.shrinking import shrink as shrunk
    from reports import to_json
    from reports.console import Progress, final

    catalogue, own = plugged_in(plugins)
    progress = Progress(lambda n, k: confidence_sequence(n, k, 0.05))
    with nullcontext() if as_json else progress:
        gone = shrunk(
            run,
            model=model,
            catalogue=catalogue,
            seeds=own,
            judge=read_judge(given),
            shrink_budget=shrink_budget,
            findings=findings,
            settings=read_settings(given),
            **spending,
            price=price,
            prices=Path(prices) if prices else None,
            progress=None if as_json else progress.update,
            graceful=True,
        )
    report = gone.report
    if as_json:
        click.echo(to_json(report).decode(), nl=False)
    else:
        final(report, run)
    sys.exit(130 if report.stopped == "interrupted" else report.exit_code)
