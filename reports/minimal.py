"""A minimal failing scenario for a person: what breaks it, how sure that is, and what it reads.

What a scenario, a seed or a file name says is hostile until `reports.text` has made it plain. The
files are written by `reports.minimal_files`.
"""

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fuzzer.records import (
    Beside,
    FieldValues,
    Finding,
    Knockout,
    LeastText,
    OtherMinimum,
    Record,
    Spent,
    StepValues,
)
from fuzzer.transform import Plan, Step
from reports.difference import Difference
from reports.difference_views import rich_lines, sizes
from reports.screen import as_text, put
from reports.text import (
    at_most,
    interval,
    line,
    percent,
    plain,
    plural,
    proportion,
)

FOLDER = "minimal"  # of a run, with a folder for each finding
OPEN = ("not shrunk", "interrupted", "unresolved within budget")  # states that calls may end
SHRUNK = ("certified", "minimal, not certified")  # states of steps whose values and text are next
DIFFERENCE_LINES = 30  # of a difference on the screen
COMMAND = 240  # characters of a command that is shown with its plan in it


class MinimalView(Record):
    """A finding as it was shrunk, ready to be shown.

    Its rate, knock-outs and certificate are of its `minimal_plan` on the whole text; those of the
    reduced text are in its `text`.
    """

    finding: Finding
    among: int = 1  # findings of the run
    interrupted: bool = False  # the best so far
    plugins: tuple[str, ...] = ()  # files that define what the plan or the seed needs
    replay: str = ""  # a command that asks a model again; shown as it is
    alpha: float = 0.05  # every interval is at 1 - alpha

    @property
    def plan(self) -> Plan:
        """The smallest scenario known."""
        return self.finding.smallest


# ----------------------------------------------------------------------------------------- phrases


def call_of(step: Step, limit: int = 60) -> str:
    """A step as code writes it.

    >>> call_of(Step(transform="rename_tools", params={"style": "terse"}))
    "rename_tools(style='terse')"
    """
    given = ", ".join(f"{key}={value!r}" for key, value in step.params.items())
    return f"{line(step.transform, 60)}({line(given, limit)})"


def headline(view: MinimalView) -> str:
    """What breaks it, how often, and how often without: one sentence."""
    found = view.finding
    where = f"{line(found.id, 40)} {line(found.seed, 60)}"
    steps = found.minimal_plan
    seen = _seen(found, view.alpha)
    if not steps and not _guessed(found):
        return f"{where}: the seed fails as it is, nothing changed: {seen}."
    room = 60 if len(steps) == 1 else 30
    named = " + ".join(call_of(step, room) for step in steps[:4])
    named += f" + {len(steps) - 4} more" if len(steps) > 4 else ""
    named = named or "no change at all"
    breaks = "breaks it" if len(steps) == 1 else "together break it"
    if _guessed(found):
        breaks = "may be all that breaks it; the whole plan"
    return f"{where}: {named} {breaks}: {seen}{_without(found.knockouts)}."


def _seen(found: Finding, alpha: float) -> str:
    fresh = "fresh calls" if found.fresh else "replays (a rate that runs high)"
    if not found.n:
        return "no usable call was made"
    counted = f"{found.harmful:,} of {found.n:,} {fresh}"
    if not found.harmful:
        return f"{counted} (at most {at_most(found.ci[1])} [{_level(alpha)}])"
    share = percent(found.harmful / found.n)
    return f"{counted} ({share}, {_level(alpha)} {interval(found.ci)})"


def _guessed(found: Finding) -> bool:
    """Whether the rate is of the whole plan, and no call yet shows it of these steps alone."""
    return not found.fresh and found.minimal_plan != found.plan


def _level(alpha: float) -> str:
    return percent(1 - alpha)


def _without(knockouts: Sequence[Knockout]) -> str:
    """How often it still fails without a step: of several, the one that fails most often."""
    tested = [one for one in knockouts if one.n]
    if not tested:
        return ""
    worst = max(tested, key=lambda one: (one.ci[1], one.rate or 0.0))
    several = "any one" if len(tested) == len(knockouts) else f"any of the {len(tested)} tested"
    which = "without it" if len(knockouts) == 1 else f"with {several} left out, at worst"
    return f"; {which} {_count(worst.n, worst.rate or 0.0, worst.ci)}"


def _count(n: int, rate: float, ci: tuple[float, float]) -> str:
    harmful = round(rate * n)
    if not harmful:
        return f"0 of {n:,} (at most {at_most(ci[1])})"
    return f"{harmful:,} of {n:,} ({percent(rate)} {interval(ci)})"


def sureness(view: MinimalView) -> str:
    """How sure it is that these steps are the least that fails."""
    found = view.finding
    if found.minimal_certified:
        each = f", and {_less_often(found.knockouts)}" if found.minimal_plan else ""
        cut = "" if found.cut is None else f" at cut {percent(found.cut)}"
        said = f"Certified{cut}: on fresh calls it fails more often than that{each}"
        return f"{said}{_errs(found.certificate_alpha)}.{_together(view)}"
    known = {
        "unresolved within budget": "Unresolved within the budget: that this fails, and no smaller "
        "part of it, was not shown; what is known stands below.",
        "minimal, not certified": "Minimal as far as the search saw, but not certified within the "
        "budget.",
        "interrupted": "Interrupted: the best so far, and not certified.",
        "not shrunk": "Not shrunk: the plan is the one that was met.",
    }
    return known.get(found.state, f"Not certified: {line(found.state, 200)}.")


def _less_often(knockouts: Sequence[Knockout]) -> str:
    """What the certificate shows of the knock-outs; of what could not be tested, nothing."""
    untested = sum(one.status == "not testable" for one in knockouts)
    if not untested:
        return "less often without any one step"
    if untested == len(knockouts):
        return "that it needs any one step could not be tested"
    return f"less often without any one step but {untested} that could not be left out in a test"


def _errs(alpha: float | None) -> str:
    return "" if alpha is None else f", wrong with probability at most {percent(alpha)}"


def _together(view: MinimalView) -> str:
    if view.among < 2:
        return ""
    if view.finding.jointly:
        return " It stands together with the run's other findings (e-BH)."
    return " That is said of it alone, not of all the run's findings together."


def values_sentence(values: StepValues, alpha: float = 0.05, *, proved: bool = True) -> str:
    """Whether it is this value or any, as far as calls on others tell.

    "Any value" is shown of their mean rate alone: one or the other may not do it. `proved`: whether
    fresh calls certify the simpler values.
    """
    said = {
        "any value": "any value will do, on average",
        "this value only": "this value only",
        "some values": "some values",
        "open": "open whether another value does it" if values.n else "no other value was tried",
    }[values.verdict]
    if values.n:
        counted = proportion(values.n, values.harmful, values.ci, alpha)
        again = f", {values.failing:,} of which failed at least once" if values.failing else ""
        said += f" ({plural(values.tried, 'other value')} drawn{again}; harmful in {counted})"
    matter = ", ".join(line(name, 40) for name in values.matter)
    fields = "; ".join(_field(one) for one in values.fields if one.verdict != "open")
    return "; ".join(
        filter(
            None,
            [
                f"{line(values.transform, 60)}: {said}",
                f"what matters: {matter}" if matter else "",
                fields,
                _simplest(values, proved=proved),
            ],
        )
    )


def _field(one: FieldValues) -> str:
    shown = line(repr(one.simplest), 40)
    name = line(one.name, 40)
    if one.stops:
        return f"{name}={shown}, and not one value nearer to its default"
    only = {"any value": "any", "this value only": f"only {shown}", "some values": "some"}
    return f"{name}: {only[one.verdict]}"


def _simplest(values: StepValues, *, proved: bool) -> str:
    """What was made simpler, if anything was."""
    moved = {key: v for key, v in values.simplest.items() if values.found.get(key, ...) != v}
    if not moved:
        return ""
    given = ", ".join(f"{key}={value!r}" for key, value in moved.items())
    how = "made simpler" if proved else "simpler values failed while searching, not certified"
    return f"{how}: {line(given, 80)}"


def _values(finding: Finding, alpha: float) -> list[str]:
    """What is known of each step's values; simpler ones are certified if the plan has them."""
    steps, rows = finding.minimal_plan, finding.values
    proved = len(steps) == len(rows) and all(
        {**row.found, **step.params} == row.simplest for step, row in zip(steps, rows, strict=True)
    )
    return [f"Values: {values_sentence(row, alpha, proved=proved)}." for row in rows]


def text_sentence(text: LeastText) -> str:
    """How much of the text is left, and whether more might go."""
    before, after = text.tokens_before, text.tokens_after
    share = f" ({after / before:.0%})" if before else ""
    parts = [
        f"about {before:,} tokens before, about {after:,} after{share}",
        f"mails, paragraphs and tools {text.units[0]:,} before, {text.units[1]:,} after",
        f"sentences {text.sentences[0]:,} before, {text.sentences[1]:,} after",
    ]
    more = "that nothing more could go is not claimed"
    parts.append(more if text.complete else "the search did not come to its end: more might go")
    if text.certified and text.cut is not None:
        sure = f"certified at cut {percent(text.cut)}{_errs(text.alpha)}"
    else:
        sure = f"not certified: {line(text.state, 120)}"
    return f"{'; '.join(parts)}; its rate {sure}"


def unfinished(findings: Iterable[Finding]) -> str:
    """What a larger budget would go on with, by finding; "" for nothing.

    >>> unfinished([])
    ''
    """
    left = []
    for found in findings:
        text = found.text
        if found.review == "unreviewed":
            continue
        if found.state in OPEN:
            left.append(f"the steps of {line(found.id, 40)}")
        elif text is None and found.state in SHRUNK:
            values = "values and " if found.minimal_plan and not found.values else ""
            left.append(f"{values}text of {line(found.id, 40)}")
        elif text is not None and (not text.complete or text.state in OPEN):
            left.append(f"more of the text of {line(found.id, 40)}")
    return ", ".join(left)


def reduced_phrase(text: LeastText, alpha: float = 0.05) -> str:
    """How often the reduced text fails, on fresh calls."""
    counted = proportion(text.n, text.harmful, text.ci, alpha)
    return f"On this text, fresh calls: {counted}"


def spent_sentence(spent: Mapping[str, Spent]) -> str:
    """What each level cost.

    >>> spent_sentence({"plan": Spent(search=31, certificate=23)})
    '54 calls: plan 31 to search, 23 for the certificate'
    """
    each = (
        f"{line(level, 20)} {one.search:,} to search"
        + (f", {one.certificate:,} for the certificate" if one.certificate else "")
        for level, one in spent.items()
    )
    total = sum(one.search + one.certificate for one in spent.values())
    return ": ".join(filter(None, [plural(total, "call"), "; ".join(each)]))


class ShrinkRow(NamedTuple):
    """A line beside the knock-outs: what else was asked, and how often it failed."""

    name: str
    n: int
    harmful: int
    rate: float | None
    ci: tuple[float, float]
    status: str


def shrink_rows(finding: Finding) -> list[ShrinkRow]:
    """The unmutated seed and the reduced text, as far as they were asked."""
    rows, text = [], finding.text
    if (seed := finding.seed_as_swept) is not None:
        rows.append(_beside("the seed as it is", seed))
    if text is not None and text.drop:
        status = "above the cut" if text.certified else ""
        rows.append(ShrinkRow("its text reduced", text.n, text.harmful, text.rate, text.ci, status))
    if text is not None and text.bare is not None:
        rows.append(_beside("that text without the change", text.bare))
    if text is not None and text.seed is not None:
        rows.append(_beside("the seed, asked beside it", text.seed))
    return rows


def _beside(name: str, seed: Beside) -> ShrinkRow:
    return ShrinkRow(name, seed.n, seed.harmful, seed.rate, seed.ci, seed.status)


def shrink_sentences(finding: Finding, alpha: float = 0.05) -> list[str]:
    """What a page says of a shrink beside its certificate, made plain."""
    told = [line(finding.misfit, 600)] if finding.misfit else []
    told += [_other(other, alpha) for other in finding.others]
    told += _values(finding, alpha)
    if finding.text is not None:
        told.append(f"Text: {text_sentence(finding.text)}.")
    if len(finding.spent) > 1:
        told.append(f"Spent: {spent_sentence(finding.spent)}.")
    return told


# ---------------------------------------------------------------------------------------- commands


def folder_name(finding: str) -> str:
    """A finding's id as one safe part of a path; what had to be changed carries a hash.

    >>> folder_name("F1")
    'F1'
    >>> folder_name("../etc"), folder_name("a/b") == folder_name("a:b")
    ('etc-53dac9b2', False)
    """
    kept = re.sub(r"[^A-Za-z0-9_-]+", "-", finding).strip("-")[:40]
    if kept and kept == finding:
        return kept
    mark = hashlib.blake2b(finding.encode("utf-8", "replace"), digest_size=4).hexdigest()
    return "-".join(filter(None, [kept, mark]))


def test_file(finding: str) -> str:
    """What the test of a finding is called: a file that Python can import and pytest collects.

    >>> test_file("F1"), test_file("a/b") == test_file("a:b")
    ('test_F1.py', False)
    """
    return f"test_{folder_name(finding).replace('-', '_')}.py"


def folder(run: Path | str, view: MinimalView) -> Path:
    """Where the files of a finding lie in a run."""
    return Path(run) / FOLDER / folder_name(view.finding.id)


def show_command(view: MinimalView, where: Path | None = None) -> str:
    """The command that shows the scenario; a long plan is read from its file in `where`."""
    command = f"holdfast show {shlex.quote(line(view.plan.seed))}"
    command += "".join(f" --plugin {shlex.quote(line(path, 1_000))}" for path in view.plugins)
    if not (view.plan.steps or view.plan.drop):
        return command
    written = f"{command} --plan {shlex.quote(_plan_json(view.plan))}"
    if len(written) <= COMMAND or where is None:
        return written
    return f'{command} --plan "$(cat {shlex.quote(line(where / "plan.json", 1_000))})"'


def _plan_json(plan: Plan) -> str:
    steps = [{"transform": plain(step.transform), "params": step.params} for step in plan.steps]
    told = {"steps": steps, **({"drop": list(plan.drop)} if plan.drop else {})}
    return json.dumps(told, separators=(",", ":"), default=str)  # ASCII: nothing to sanitise


# ------------------------------------------------------------------------------------------ screen


class Shown(NamedTuple):
    """A finding with its difference, and where its files lie, if they were written."""

    view: MinimalView
    difference: Difference | None = None
    where: Path | None = None


def final(found: Iterable[Shown], *, stream: TextIO | None = None) -> None:
    """Print the screen of `holdfast shrink`."""
    shown = tuple(found)
    put(lambda width: screen(shown, width), stream)


def brief(found: Iterable[Shown], run: str, *, stream: TextIO | None = None) -> None:
    """Print a sentence for each finding, and where the report is."""
    said = [Text(headline(one.view)) for one in found]
    said = said or [Text("No finding is supported: there is nothing to shrink.")]
    kept = Text(f"Report: {line(run, 200)}/report.html (and report.json)", no_wrap=True)
    put(lambda _: [*said, kept], stream)


def final_text(found: Iterable[Shown], width: int = 80) -> str:
    """The same as plain text."""
    shown = tuple(found)
    return as_text(lambda columns: screen(shown, columns), width)


def screen(found: Sequence[Shown], width: int) -> list[RenderableType]:
    """The blocks of the screen, a finding after the other."""
    if not found:
        return [Text("No finding is supported: there is nothing to shrink.")]
    blocks: list[RenderableType] = []
    for one in found:
        blocks += [Text(), *_finding(one, width)] if blocks else _finding(one, width)
    return blocks


def _finding(shown: Shown, width: int) -> list[RenderableType]:
    view, difference, where = shown
    head = Text(headline(view))
    head.stylize("bold red", 0, len(f"{line(view.finding.id, 40)} {line(view.finding.seed, 60)}:"))
    found = view.finding
    told = [sureness(view)]
    if view.interrupted and found.state != "interrupted":
        told.append("Interrupted: the best so far.")
    if found.misfit:
        told.append(line(found.misfit, 600))
    told += [_other(one, view.alpha) for one in found.others[:5]]
    said = _values(found, view.alpha)
    if found.text is not None:
        said.append(f"Text: {text_sentence(found.text)}.")
    if difference is not None:
        said.append("" if found.text else f"Text: not reduced yet; {sizes(difference)}.")
    if found.spent:
        said.append(f"Spent: {spent_sentence(found.spent)}.")
    blocks: list[RenderableType] = [head]
    blocks += [Padding(Text(sentence), (0, 0, 0, 2)) for sentence in told]
    blocks.append(Padding(_table(view), (0, 0, 0, 2)))
    blocks += [Padding(Text(sentence), (0, 0, 0, 2)) for sentence in said if sentence]
    if difference is not None:
        blocks += _excerpt(difference, width)
    blocks.append(_command("  Show: ", show_command(view, where)))
    if view.replay:
        blocks.append(_command("  Replay: ", line(view.replay, 2_000)))
    if where is not None:
        test = test_file(view.finding.id)
        blocks.append(_command("  Files: ", line(where, 1_000)))
        blocks.append(
            Text(f"    request.txt to paste, {test} to run, difference.html to read it all")
        )
    return blocks


def _other(other: OtherMinimum, alpha: float) -> str:
    named = " + ".join(call_of(step, 30) for step in other.plan[:4])
    counted = proportion(other.n, other.harmful, other.ci, alpha)
    searched = "met while searching, which runs high, and not certified"
    return f"By itself {named} fails too: {counted}, {searched}."


def _command(label: str, command: str) -> RenderableType:
    """A command on one line, however long: wrapped, it could not be pasted."""
    return Text(f"{label}{command}", no_wrap=True)


def _table(view: MinimalView) -> Table:
    """The smallest change, each knock-out, the seed as it is, the reduced text: calls and rates."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("what was asked", overflow="ellipsis", no_wrap=True, max_width=30)
    table.add_column(f"harmful [{_level(view.alpha)}]", overflow="fold")
    table.add_column("", overflow="fold")
    for name, counted, status in _rows(view):
        table.add_row(Text(name), Text(counted), Text(status, style="dim"))
    return table


def _rows(view: MinimalView) -> list[tuple[str, str, str]]:
    found, alpha = view.finding, view.alpha
    status = "above the cut" if found.minimal_certified else ""
    smallest = "the smallest change" if found.minimal_plan else "the seed as it is"
    if _guessed(found):
        smallest = "the whole plan, replayed"
    rows = [(smallest, proportion(found.n, found.harmful, found.ci, alpha), status)]
    for one in found.knockouts:
        harmful = round((one.rate or 0.0) * one.n)
        counted = proportion(one.n, harmful, one.ci, alpha)
        rows.append((f"without {line(one.transform, 40)}", counted, one.status))
    rows += [
        (row.name, proportion(row.n, row.harmful, row.ci, alpha), row.status)
        for row in shrink_rows(found)
    ]
    return rows


def _excerpt(difference: Difference, width: int) -> list[RenderableType]:
    lines = rich_lines(difference, width - 2, brief=True)[1:]  # its length has been said
    while lines and not lines[0].plain:
        lines.pop(0)
    shown, more = lines[:DIFFERENCE_LINES], len(lines) - DIFFERENCE_LINES
    blocks: list[RenderableType] = [Text("  What differs from the seed:", style="bold")]
    blocks += [Padding(one, (0, 0, 0, 2)) for one in shown]
    if more > 0:
        blocks.append(Text(f"  … {plural(more, 'more line')}", style="dim"))
    return blocks
