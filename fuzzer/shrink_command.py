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
@click.option(
    "--save", metavar="CORPUS", help="Add what was found to a file for `holdfast replay` (.jsonl)."
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
    save: str | None,
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
    judge other than the rules must be named again. RUN/minimal holds, for each finding, the request
    to paste, its difference from the seed and a test of it. Exits as the sweep did; with 130 when
    interrupted.
    """
    if shrink_budget is not None and shrink_budget < 0:
        raise ConfigurationError(f"--shrink-budget {shrink_budget} is not possible; at least 0")
    spending = read_spending(given)
    from contextlib import nullcontext

    from fuzzer import minimal_files
    from fuzzer.evidence import confidence_sequence
    from fuzzer.registry import plugged_in
    from fuzzer.shrinking import shrink as shrunk
    from reports import to_json
    from reports.console import Progress
    from reports.minimal import final

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
    corpus, shown = minimal_files.write(
        run, gone, findings=findings, plugins=plugins, judge_model=given["judge_model"] or ""
    )
    if save is not None:
        minimal_files.save(save, gone)
    if as_json:
        click.echo(to_json(report).decode(), nl=False)
    else:
        final(shown)
        if report.findings:
            click.echo(f"\nReport: {run}/report.html (and report.json)")
            click.echo(f"Saved for replay: {save or corpus}")
    if report.stopped == "interrupted":
        click.echo("Interrupted; what was answered is stored (the same command goes on).", err=True)
        sys.exit(130)
    sys.exit(report.exit_code)
