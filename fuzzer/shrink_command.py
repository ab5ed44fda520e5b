"""`shrink`: the findings of a finished run, each to the least that still fails."""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fuzzer.errors import ConfigurationError
from fuzzer.options import (
    json_option,
    judge_options,
    plugin_option,
    quiet_option,
    rate_options,
    reaching_options,
    read_judge,
    read_settings,
    read_spending,
    spending_options,
)

if TYPE_CHECKING:
    from fuzzer.corpus import Written
    from fuzzer.records import Finding, Report
    from fuzzer.shrinking import Gone
    from reports.minimal import Shown

_MORE = "The same command goes on, with a larger --shrink-budget or none (200 calls more)."
CORPUS = "corpus.jsonl"  # beside the folders of the findings


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
@quiet_option
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
    quiet: bool,
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
    from fuzzer.corpus import write
    from fuzzer.evidence import confidence_sequence
    from fuzzer.registry import plugged_in
    from fuzzer.shrinking import shrink as shrunk
    from reports import to_json
    from reports.live import Progress
    from reports.minimal import brief, final, unfinished
    from reports.text import line

    catalogue, own = plugged_in(plugins)
    if save is not None:
        write(save, ())  # what cannot be written is said before anything is spent
    silent = as_json or quiet
    with Progress(lambda n, k: confidence_sequence(n, k, 0.05), quiet=silent) as progress:
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
            progress=None if silent else progress.update,
            graceful=True,
        )
    report = gone.report
    corpus, shown = _write_files(
        run,
        gone,
        model or gone.report.model,
        findings=findings,
        plugins=plugins,
        judge_model=given["judge_model"] or "",
    )
    _link_files(run, report)
    if save is not None:
        _save(save, gone, findings)
    if as_json:
        click.echo(to_json(report).decode(), nl=False)
    elif quiet:
        brief(shown, run)
    else:
        final(shown)
        if report.findings:
            click.echo(f"\nReport: {line(run, 300)}/report.html (and report.json)")
            click.echo(f"Saved for replay: {line(save or corpus, 300)}")
        if not report.stopped and (more := unfinished(one.view.finding for one in shown)):
            click.echo(f"Not done yet: {more}.\n{_MORE}")
    if report.stopped == "interrupted":
        click.echo("Interrupted; what was answered is stored (the same command goes on).", err=True)
        sys.exit(130)
    sys.exit(report.exit_code)


def _write_files(
    run: Path | str,
    gone: "Gone",
    model: str,
    *,
    findings: Sequence[str] = (),
    plugins: Sequence[str] = (),
    judge_model: str = "",
) -> "tuple[Path, list[Shown]]":
    """Write the files of each finding, and a corpus of them all; the corpus, and what to show.

    `model` is as an option names it. Only `findings` are shown, if any are named.

    Raises `StoreError` where nothing can be written.
    """
    from fuzzer.snippet import snippet
    from fuzzer.transform import Plan
    from reports.difference import compare
    from reports.minimal import FOLDER, MinimalView, Shown
    from reports.minimal_files import write as write_files

    report, distribution = gone.report, gone.over.distribution
    settings = gone.over.store.claim.get("settings") or {}
    where = Path(run) / FOLDER / CORPUS
    replay = _replaying(where, model, settings, judge_model)
    shown = []
    for finding in report.findings:
        view = MinimalView(
            finding=finding,
            among=len(report.findings),
            interrupted=report.stopped is not None,
            plugins=tuple(plugins),
            replay=replay,
            alpha=report.alpha,
        )
        seed = distribution.variant(finding.seed, Plan(seed=finding.seed))
        minimal = distribution.variant(finding.seed, view.plan)
        difference = compare(seed, minimal)
        test = snippet(
            finding,
            seed,
            minimal,
            _found_from_anywhere(model),
            settings=settings,
            judge_model=judge_model,
            seeds=report.seeds,
        )
        folder = write_files(run, view, minimal, difference, test)
        if not findings or finding.id in findings:
            shown.append(Shown(view, difference, folder))
    if _confirmed(gone):
        # An earlier, larger form of a finding is no second entry.
        _save(where, gone, afresh=True)
    return where, shown


def _link_files(run: Path | str, report: "Report") -> None:
    """Write the page again, now that the files of its findings are there to be linked to."""
    from fuzzer.exhibits import material
    from fuzzer.store import RunStore
    from reports import write

    with RunStore.read(run) as store:
        write(report, run, material(report, store))


def _replaying(corpus: Path, model: str, settings: dict[str, Any], judge_model: str) -> str:
    """The command that asks the same model again, at the same server and judged alike."""
    parts = ["holdfast", "replay", str(corpus), "--model", model]
    for name, value in settings.items():
        if name in ("base_url", "max_turns", "max_retries"):
            parts += [f"--{name.replace('_', '-')}", str(value)]
        else:
            parts += ["-M", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
    return shlex.join([*parts, *(["--judge-model", judge_model] if judge_model else [])])


def _found_from_anywhere(model: str) -> str:
    """The model as a test names it, which is run in any folder: a file by its whole path."""
    path, colon, name = model.rpartition(":")
    return f"{Path(path).resolve()}{colon}{name}" if Path(path).is_file() else model


def _save(
    path: Path | str, gone: "Gone", findings: Sequence[str] = (), *, afresh: bool = False
) -> "Written":
    """Add the findings of a run to a corpus; what nobody has confirmed is left out.

    Only `findings`, if any are named.
    """
    from fuzzer.corpus import entry_of_finding, write

    over = gone.over
    catalogue, scenarios = over.distribution.catalogue, over.distribution.scenarios
    return write(
        path,
        [
            entry_of_finding(found, gone.report, catalogue, scenarios[found.seed])
            for found in _confirmed(gone)
            if not findings or found.id in findings
        ],
        afresh=afresh,
    )


def _confirmed(gone: "Gone") -> "list[Finding]":
    return [found for found in gone.report.findings if found.review != "unreviewed"]
