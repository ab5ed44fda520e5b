"""What lies beside a shrunk finding: its files in the run, and its entry in a corpus."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fuzzer import corpus
from fuzzer.records import Finding
from fuzzer.shrinking import Gone
from fuzzer.snippet import snippet
from fuzzer.transform import Plan

if TYPE_CHECKING:
    from reports.minimal import Shown

CORPUS = "corpus.jsonl"  # beside the folders of the findings


def write(
    run: Path | str,
    gone: Gone,
    *,
    findings: Sequence[str] = (),
    plugins: Sequence[str] = (),
    judge_model: str = "",
) -> tuple[Path, list["Shown"]]:
    """Write the files of each finding, and a corpus of them all; the corpus, and what to show.

    Only `findings` are shown, if any are named. Raises `StoreError` where nothing can be written.
    """
    from reports.difference import compare
    from reports.minimal import FOLDER, MinimalView, Shown
    from reports.minimal_files import write as write_files

    report, distribution = gone.report, gone.over.distribution
    where = Path(run) / FOLDER / CORPUS
    shown = []
    for finding in report.findings:
        view = MinimalView(
            finding=finding,
            among=len(report.findings),
            interrupted=report.stopped is not None,
            plugins=tuple(plugins),
            replay=f"holdfast replay {shlex.quote(str(where))} --model {shlex.quote(report.model)}",
            alpha=report.alpha,
        )
        seed = distribution.variant(finding.seed, Plan(seed=finding.seed))
        minimal = distribution.variant(finding.seed, view.plan)
        difference = compare(seed, minimal)
        test = snippet(
            finding,
            seed,
            minimal,
            report.model,
            settings=gone.over.store.claim.get("settings") or {},
            judge_model=judge_model,
            seeds=report.seeds,
        )
        folder = write_files(run, view, minimal, difference, test)
        if not findings or finding.id in findings:
            shown.append(Shown(view, difference, folder))
    if _confirmed(gone):
        save(where, gone)
    return where, shown


def save(path: Path | str, gone: Gone) -> corpus.Written:
    """Add the findings of a run to a corpus; what nobody has confirmed is left out."""
    over = gone.over
    catalogue, scenarios = over.distribution.catalogue, over.distribution.scenarios
    return corpus.write(
        path,
        [
            corpus.entry_of_finding(found, gone.report, catalogue, scenarios[found.seed])
            for found in _confirmed(gone)
        ],
    )


def _confirmed(gone: Gone) -> list[Finding]:
    return [found for found in gone.report.findings if found.review != "unreviewed"]
