"""A finding as the page tells it: change, certificate, difference, a run that failed, files."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from fuzzer.material import Exhibit
from fuzzer.records import Finding, Report
from reports.difference import compare
from reports.difference_views import fragment, sizes
from reports.excerpts import ExcerptTurn, excerpt
from reports.minimal import (
    FOLDER,
    MinimalView,
    ShrinkRow,
    folder_name,
    show_command,
    shrink_rows,
    shrink_sentences,
)

Files = Mapping[str, tuple[str, ...]]  # names of a finding's files in its folder, by finding id

_SAFE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9]+)+")
_ORDER = ("difference.html", "request.txt", "request.json", "scenario.json", "plan.json")


class Link(NamedTuple):
    """A file beside the page."""

    href: str
    name: str


class FindingView(NamedTuple):
    """What the page shows of one finding; `anchor` is its id in the page."""

    number: int
    anchor: str
    finding: Finding
    command: str
    excerpt: tuple[ExcerptTurn, ...]
    said: tuple[str, ...]
    beside: tuple[ShrinkRow, ...]
    difference: Markup | None  # None: the run does not have both scenarios
    size: str
    links: tuple[Link, ...]


def finding_views(
    report: Report, exhibits: Mapping[str, Exhibit], files: Files
) -> tuple[FindingView, ...]:
    """Every finding of a report with what its run can show of it."""
    nothing = Exhibit()
    return tuple(
        _view(number, finding, exhibits.get(finding.id, nothing), report, files)
        for number, finding in enumerate(report.findings, 1)
    )


def _view(
    number: int, finding: Finding, exhibit: Exhibit, report: Report, files: Files
) -> FindingView:
    difference = (
        compare(exhibit.seed, exhibit.minimal) if exhibit.seed and exhibit.minimal else None
    )
    return FindingView(
        number=number,
        anchor=f"finding-{number}",
        finding=finding,
        command=show_command(MinimalView(finding=finding, alpha=report.alpha)),
        excerpt=excerpt(exhibit.trial),
        said=tuple(shrink_sentences(finding, report.alpha)),
        beside=tuple(shrink_rows(finding)),
        difference=fragment(difference, level=4) if difference else None,
        size=sizes(difference) if difference else "",
        links=_links(finding, files.get(finding.id, ())),
    )


def _links(finding: Finding, names: Iterable[str]) -> tuple[Link, ...]:
    """Links whose every character is ours: a name that is anything else is left out."""
    safe = [name for name in names if _SAFE.fullmatch(name)]
    known = [name for name in _ORDER if name in safe]
    ranked = known + sorted(name for name in safe if name not in _ORDER)
    return tuple(Link(f"{FOLDER}/{folder_name(finding.id)}/{name}", name) for name in ranked)


def files_beside(directory: Path, findings: Iterable[Finding]) -> dict[str, tuple[str, ...]]:
    """The files of each finding that lie in a run."""
    found = {}
    for finding in findings:
        folder = directory / FOLDER / folder_name(finding.id)
        if folder.is_dir():
            found[finding.id] = tuple(sorted(p.name for p in folder.iterdir() if p.is_file()))
    return found
