"""Markdown for a CI summary: the verdict, what carries it, and how to look; short whatever comes.

Written for GitHub-flavoured Markdown. Nothing that a subject, a seed author or a plug-in wrote is
markup here: marks are escaped, and what a renderer would turn into a mention, a link or an
emoji stands as code. Every list is cut and says so, every text is cut, so that a summary stays far
below the 1 MiB that a step may write.
"""

import re
from collections.abc import Sequence

from fuzzer.records import Finding, Rate, Report
from reports import complete
from reports.baseline import passed_by, row_words, rows_by_finding
from reports.elicitation import elicitation_sentence
from reports.finding import certificate, minimal_names, rate_words
from reports.sentence import flag_sentence, standing
from reports.text import (
    figure,
    interval,
    line,
    money,
    percent,
    plain,
    plural,
    points,
    proportion,
    replay_command,
)

FINDINGS = 20  # in the table; a run has at most so many
COMMANDS = 3
COMMAND = 1500  # characters
TRANSFORMS = 10
NOTES = 10
GATE_ROWS = 40
SIGNS = {"holds": "✅", "brittle": "❌", "inconclusive": "❔", "unusable": "🚫"}

# What a renderer acts on without any mark: addresses, mentions, links, issues, emoji.
_ACTS = re.compile(
    r"(?i)@|://|\bwww\.|\b(?:mailto|xmpp):|#\d|\bgh-\d|:\w[\w+-]*:|\b[0-9a-f]{7,40}\b"
)
_MARKS = re.compile(r"([\\`*_\[\]<>#|~$&])")


def render(report: Report) -> str:
    """The summary, which ends with a line break."""
    report = complete(report)
    blocks = [
        f"## {SIGNS[report.verdict]} Holdfast: {report.verdict}"
        + (", provisional" if report.provisional else ""),
        f"**{text(report.sentence, 4000)}**",
        *_gate(report),
        _facts(report),
        _rates(report),
        *_findings(report),
        *_transforms(report),
        *_excluded(report),
        *_notes(report),
        *_look(report),
    ]
    return "\n\n".join(blocks) + "\n"


# ------------------------------------------------------------------------------------- hostile text


def text(value: object, limit: int = 200) -> str:
    r"""One line that only says something, in a paragraph or in a cell.

    >>> text("*see* <b>@user</b> | [x](y)")
    '\\*see\\* `<b>@user</b>` \\| \\[x\\](y)'
    """
    return " ".join(_word(word) for word in line(value, limit).split(" "))


def _word(word: str) -> str:
    return code(word) if _ACTS.search(word) else _MARKS.sub(r"\\\1", word)


def code(value: object, limit: int = 200) -> str:
    r"""The same as code. Marks that would end it are shown as their like: ` as ' and | as ¦.

    >>> code("a`b|c"), code(" ")
    ("`a'b¦c`", '–')
    """
    shown = line(value, limit).replace("`", "'").replace("|", "¦").strip()
    return f"`{shown}`" if shown else "–"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    rule = ["---", *("---:" if name in _NUMERIC else "---" for name in head[1:])]
    cells = [head, tuple(rule), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


_NUMERIC = {"harmful", "trials", "unusable", "engaged", "effect, points", "e-value"}


# ------------------------------------------------------------------------------------------- blocks


def _facts(report: Report) -> str:
    cost = "cost unknown" if report.cost_usd is None else money(report.cost_usd)
    shrink = f" and {report.shrink_calls:,} to shrink" if report.shrink_calls else ""
    return (
        f"Model {code(report.model)} · {plural(len(report.seeds), 'seed')} · "
        f"{plural(report.calls, 'call')}{shrink} · {cost} · threshold {percent(report.threshold)} "
        f"· error rate {percent(report.alpha)} · exit code {passed_by(report)}"
    )


def _rates(report: Report) -> str:
    rows = [
        _rate("canonical (the seeds as they are)", report.canonical, report.alpha),
        _rate("mutated (draws from D)", report.mutated, report.alpha),
    ]
    e = report.evidence
    told = (
        f"Evidence for brittle: {figure(e.e_brittle)}, {figure(e.needed)} needed; for holds: "
        f"{figure(e.e_holds)}, {figure(e.needed_holds)} needed. Each limit of an interval errs "
        f"with probability at most {percent(report.alpha)} over the whole run, both together "
        f"at most {percent(2 * report.alpha)}. Unusable answers are in no rate."
    )
    head = ("", "harmful", "trials", "rate", "interval, %", "unusable", "engaged")
    return f"{_table(head, rows)}\n\n{told}"


def _rate(name: str, rate: Rate, alpha: float) -> tuple[str, ...]:
    shown = proportion(rate.n, rate.harmful, rate.ci, alpha)
    return (
        name,
        f"{rate.harmful:,}",
        f"{rate.n:,}",
        text(shown.split(", ", 1)[-1].split(" [")[0]),
        text(interval(rate.ci)) if rate.n else "–",
        f"{rate.unusable:,}",
        f"{rate.engaged:,}",
    )


def _findings(report: Report) -> list[str]:
    if not report.findings:
        if report.verdict != "brittle":
            return []
        return ["### Findings\n\nNone: it is brittle, and no single variant is pinned down."]
    gate = rows_by_finding(report)
    head = (
        "finding",
        *(("gate",) if gate else ()),
        "seed",
        "smallest change",
        "failed",
        "certificate",
    )
    rows = []
    for finding in report.findings[:FINDINGS]:
        row = gate.get(finding.id)
        status = (f"**{row.status}**" if row.status == "new" else row.status,) if row else ()
        rows.append(
            (
                code(finding.id, 40),
                *status,
                code(finding.seed, 80),
                _plan(finding),
                text(rate_words(finding, report.alpha)),
                text(_sure(finding)),
            )
        )
    blocks = [f"### Findings\n\n{_table(head, rows)}"]
    if (more := len(report.findings) - FINDINGS) > 0:
        blocks.append(f"and {plural(more, 'further finding')} in report.json.")
    return blocks


def _plan(finding: Finding) -> str:
    names = [code(name, 60) for name in minimal_names(finding)]
    more = [f"{len(names) - 12} more"] if len(names) > 12 else []
    return " + ".join([*names[:12], *more]) or "none: the seed as it is"


def _sure(finding: Finding) -> str:
    rests = standing(finding)
    return f"{certificate(finding)}; {rests}" if rests else certificate(finding)


def _transforms(report: Report) -> list[str]:
    invariant = [row for row in report.transforms if row.relation == "invariant" and row.n]
    flagged = sorted((r for r in invariant if r.flagged), key=lambda row: -row.e_value)
    if not invariant or report.baseline == "not_zero":
        return []
    told = (
        f"On {report.mutated.n:,} draws from D with {plural(report.mutated.harmful, 'failure')}, "
        f"over {plural(len(invariant), 'invariant transform')} (e-BH at {percent(report.alpha)})"
    )
    if not flagged:
        return [f"### Transforms\n\n{told}: no single one is flagged."]
    head = ("transform", "family", "effect, points", "interval", "e-value", "failed")
    rows = [
        (
            code(row.name, 60),
            code(row.family, 40),
            points(row.effect),
            text(f"[{points(row.ci[0])}, {points(row.ci[1])}]"),
            figure(row.e_value),
            f"{row.harmful:,} of {row.n:,}",
        )
        for row in flagged[:TRANSFORMS]
    ]
    more = len(flagged) - TRANSFORMS
    said = f"{told}, {len(flagged)} flagged" + (f"; {more} more in report.json" if more > 0 else "")
    return [f"### Transforms\n\n{said}:\n\n{_table(head, rows)}"]


def _excluded(report: Report) -> list[str]:
    """What a reader might take the verdict for, and must not."""
    told = {
        "holds": "Rarer failing variants, and anything outside D, are not excluded.",
        "brittle": "Other failing variants than those found are not excluded.",
        "inconclusive": "Neither claim is supported; nothing is excluded.",
        "unusable": "This says nothing about whether the score holds.",
    }[report.verdict]
    points_ = [
        told,
        text(flag_sentence(report), 600),
        text(_capital(elicitation_sentence(report)), 600) + ". A scenario that tempts nobody holds "
        "for everybody.",
        "Transforms are taken to leave a careful reader's decision alone.",
    ]
    return ["### What it does not say\n\n" + "\n".join(f"- {point}" for point in points_)]


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _notes(report: Report) -> list[str]:
    if not report.notes:
        return []
    shown = [f"- {text(note, 400)}" for note in report.notes[:NOTES]]
    more = len(report.notes) - NOTES
    return [
        "### Notes\n\n"
        + "\n".join([*shown, f"- {more} more in report.json"] if more > 0 else shown)
    ]


def _gate(report: Report) -> list[str]:
    gate = report.gate
    if gate is None:
        return []
    held = ", ".join(
        code(each.file, 80) + f" ({code(each.model, 60)}, {each.verdict})"
        for each in gate.baselines[:5]
    )
    told = [f"**Gate:** {text(gate.sentence, 1000)} Held against {held}."]
    gone = [row for row in gate.rows if row.status in ("not_met", "not_swept")]
    said = [text(row_words(row), 400) for row in gone[:GATE_ROWS]]
    said += [f"{len(gone) - GATE_ROWS} more in report.json"] if len(gone) > GATE_ROWS else []
    said += [text(row.why, 300) for row in gate.rows if row.why][:GATE_ROWS]
    said += [text(note, 500) for note in gate.notes[:NOTES]]
    return [*told, *(["\n".join(f"- {each}" for each in said)] if said else [])]


def _look(report: Report) -> list[str]:
    commands = [replay_command(finding) for finding in report.findings[:COMMANDS]]
    commands = [plain(command) for command in commands if len(command) <= COMMAND]
    lines = [" ".join(command.split()) for command in commands]
    fence = "`" * max(
        3, 1 + max((len(run) for one in lines for run in re.findall("`+", one)), default=0)
    )
    told = (
        "The whole report: `report.html` of the run (open it in a browser), or `holdfast report "
        "RUN`."
    )
    if not lines:
        return [f"### How to look\n\n{told}"]
    shown = "\n".join([f"{fence}sh", *lines, fence])
    return [
        f"### How to look\n\nA finding's scenario and its difference from the seed:\n\n{shown}"
        f"\n\n{told}"
    ]
