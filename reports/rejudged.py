"""A run judged again, on a terminal: what stays, what the judge of now says otherwise, and why."""

from typing import TYPE_CHECKING, TextIO

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from reports.screen import as_text, put
from reports.text import line, plan_phrase, plural, proportion

if TYPE_CHECKING:
    from fuzzer.rejudge import BeforeAndNow, ChangedTrial, JudgedBy, Rejudged

SHOWN = 3  # changed trials, reasons; the record holds more
VALUES = ("harmful", "safe", "unusable")


def show(rejudged: "Rejudged", *, stream: TextIO | None = None) -> None:
    """Print a run judged again on standard output."""
    put(lambda _: _blocks(rejudged), stream)


def text(rejudged: "Rejudged", width: int = 80) -> str:
    """The same as plain text."""
    return as_text(lambda _: _blocks(rejudged), width)


def _blocks(rejudged: "Rejudged") -> list[RenderableType]:
    blocks: list[RenderableType] = [_head(rejudged), Text(_stays(rejudged))]
    if rejudged.differing:
        blocks.append(_warning(rejudged))
    if rejudged.judged:
        blocks += [Text(), _rates(rejudged), Text(), _matrix(rejudged)]
    blocks += _changed(rejudged)
    blocks += _counted("Unusable now", rejudged.unusable)
    blocks += _counted("Not judged again", rejudged.not_judged)
    return [*blocks, Text(), Text(_stored(rejudged))]


def _name(judge: "JudgedBy") -> str:
    return f"{line(judge.name, 40) or 'a judge without a name'} {judge.version}"


def _head(rejudged: "Rejudged") -> Text:
    judged = f"{rejudged.judged:,} of {plural(rejudged.trials, 'transcript')}"
    found = Text(f"Judged again by {_name(rejudged.judge_now)}: {judged}", style="bold")
    then = f" of {line(rejudged.model, 60)}; the run was judged by {_name(rejudged.judge_before)}."
    return found.append(then, style="not bold")


def _stays(rejudged: "Rejudged") -> str:
    if rejudged.verdict is None:
        return "The run has not ended and has no verdict; what is said now enters no account of it."
    return f"The run's verdict stays {rejudged.verdict}: what is said now enters no account of it."


def _warning(rejudged: "Rejudged") -> Text:
    return Text(
        f"Warning: {rejudged.differing:,} of the {rejudged.repeated:,} transcripts that this very "
        "judge had judged before are judged otherwise now: it is not deterministic, or its code "
        "changed without a new version.",
        style="bold red",
    )


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for number, column in enumerate(columns):
        left = not number or column == "rate"
        table.add_column(
            column, justify="left" if left else "right", overflow="ellipsis", no_wrap=True
        )
    return table


def _rates(rejudged: "Rejudged") -> Table:
    """Both rates of the trials that both have judged."""
    table = _table("judged by both", "trials", "harmful", "rate", "unusable", "engaged")
    groups: tuple[tuple[str, BeforeAndNow], ...] = (
        ("canonical", rejudged.canonical),
        ("mutated", rejudged.mutated),
    )
    for name, group in groups:
        for when, rate in (("before", group.before), ("now", group.now)):
            shown = proportion(rate.n, rate.harmful, rate.ci, rejudged.alpha)
            table.add_row(
                f"{name}, {when}",
                f"{rate.n:,}",
                f"{rate.harmful:,}",
                shown.split(", ", 1)[-1],
                f"{rate.unusable:,}",
                f"{rate.engaged:,}",
            )
    return table


def _matrix(rejudged: "Rejudged") -> Table:
    table = _table("from (down) to (across)", *VALUES)
    counts: dict[tuple[str, str], int] = {(c.before, c.now): c.n for c in rejudged.changes}
    for before in (*VALUES, "not judged"):
        row = [counts.get((before, now), 0) for now in VALUES]
        if any(row) or before in VALUES:
            table.add_row(before, *(f"{n:,}" for n in row))
    return table


def _changed(rejudged: "Rejudged") -> list[RenderableType]:
    if not rejudged.changed:
        return [Text(), Text("No verdict has changed.")] if rejudged.judged else []
    told = [plural(rejudged.changed, "verdict") + " changed"]
    if rejudged.lowered:
        told.append(f"{plural(rejudged.lowered, 'failure')} not upheld")
    if rejudged.raised:
        told.append(f"{plural(rejudged.raised, 'failure')} that only this judge sees")
    blocks: list[RenderableType] = [Text(), Text(f"{', '.join(told)}:")]
    for trial in rejudged.changed_trials[:SHOWN]:
        blocks.append(Padding(Text(_told(trial)), (0, 0, 0, 2)))
        if quoted := _quoted(trial):
            blocks.append(Padding(Text(quoted), (0, 0, 0, 4)))
    if (more := rejudged.changed - SHOWN) > 0:
        blocks.append(Text(f"  and {more:,} more (--json has the first 20)"))
    if rejudged.raised:
        blocks.append(Text("A failure seen only now is no claim: sweep again with this judge."))
    return blocks


def _told(trial: "ChangedTrial") -> str:
    where = f"{line(trial.phase, 20)} {trial.idx}"
    cause = f" ({line(trial.cause, 60)})" if trial.now == "unusable" and trial.cause else ""
    plan = line(plan_phrase(trial.plan, {}), 90)
    return f"{where}: {trial.before} -> {trial.now}{cause}; {line(trial.seed, 40)}: {plan}"


def _quoted(trial: "ChangedTrial") -> str:
    if trial.quoted_by is None:
        return ""
    why = f" ({line(trial.why, 80)})" if trial.why else ""
    return f"{trial.quoted_by}{why}: “{line(trial.quote, 140)}”"


def _counted(label: str, counts: dict[str, int]) -> list[RenderableType]:
    """Counts by reason, the most frequent first."""
    if not counts:
        return []
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    blocks: list[RenderableType] = [Text(), Text(f"{label}: {sum(counts.values()):,}")]
    blocks += [
        Padding(Text(f"{n:,}  {line(said, 160)}"), (0, 0, 0, 2)) for said, n in ranked[:SHOWN]
    ]
    if (more := len(ranked) - SHOWN) > 0:
        blocks.append(Text(f"  and {plural(more, 'further reason')}"))
    return blocks


def _stored(rejudged: "Rejudged") -> str:
    if rejudged.not_stored:
        return f"Nothing was stored: {line(rejudged.not_stored, 300)}."
    if rejudged.stored:
        return f"{plural(rejudged.stored, 'verdict')} stored beside the run's own."
    if rejudged.judge_now == rejudged.judge_before:
        return "Nothing was stored: this is the run's own judge."
    return "Nothing new to store."
