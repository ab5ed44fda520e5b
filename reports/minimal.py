"""A minimal failing scenario for a person: its screen, and the files to read, paste and run.

`MinimalView` is all that both need, as plain numbers; whoever shrank fills it. What a scenario, a
seed or a file name says is hostile until `reports.text` has made it plain.
"""

import hashlib
import json
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TextIO

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fuzzer.errors import StoreError
from fuzzer.records import Finding, Knockout, Rate, Record
from fuzzer.transform import Plan, Step
from reports import put_file
from reports.difference import Difference, Part
from reports.difference_views import fragment, rich_lines, sizes, text
from reports.screen import as_text, put
from reports.text import (
    at_most,
    interval,
    line,
    percent,
    plain,
    plural,
    proportion,
    unusable_share,
)

if TYPE_CHECKING:
    from fuzzer.variant import Variant

FOLDER = "minimal"  # of a run, with a folder for each finding
DIFFERENCE_LINES = 30  # of a difference on the screen
COMMAND = 240  # characters of a command that is shown with its plan in it
MAX_TOKENS = 8192  # of an answer, as the request says it
MODEL = "MODEL"  # stands where a playground needs a name


class TriedValues(Record):
    """What other values of a step did, in the same place: is it this value, or any?"""

    transform: str
    parameter: str = ""  # "": all of the step's parameters together
    tried: int  # other values that were tried
    alike: int  # of these, failed as well
    unsettled: int = 0  # of these, not decided either way within the budget


class Spent(Record):
    """The calls of one level of the shrink."""

    level: Literal["plan", "values", "text"]
    search: int = 0
    certificate: int = 0  # fresh calls


class MinimalView(Record):
    """A finding as it was shrunk, ready to be shown.

    The finding's rate, knock-outs and certificate are of its `minimal_plan`, on the whole text.
    `plan` is the smallest one known, with the values it came to and what is dropped from the text:
    where its steps have other values than the finding's, `moved` holds its calls on the whole text.
    """

    finding: Finding
    plan: Plan
    canonical: Rate = Rate()  # calls on the unmutated seed
    moved: Rate | None = None  # fresh calls with the values of `plan`; None: none were made
    reduced: Rate | None = None  # fresh calls on the reduced text; None: none were made
    values: tuple[TriedValues, ...] = ()
    spent: tuple[Spent, ...] = ()
    others: tuple[tuple[Step, ...], ...] = ()  # further minimal sets of the same plan
    notes: tuple[str, ...] = ()  # sentences a reader must see: a misfit, what stays unresolved
    interrupted: bool = False  # the best so far
    plugins: tuple[str, ...] = ()  # files that define what the plan or the seed needs
    replay: str = ""  # a command that asks a model again; shown as it is
    alpha: float = 0.05  # every interval is at 1 - alpha

    @property
    def moved_values(self) -> bool:
        """Whether the steps have come to other values than those of the finding."""
        return self.plan.steps != self.finding.minimal_plan


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
    if not steps:
        return f"{where}: the seed fails as it is, nothing changed: {seen}."
    room = 60 if len(steps) == 1 else 30
    named = " + ".join(call_of(step, room) for step in steps[:4])
    named += f" + {len(steps) - 4} more" if len(steps) > 4 else ""
    breaks = "breaks it" if len(steps) == 1 else "together break it"
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


def _level(alpha: float) -> str:
    return percent(1 - alpha)


def _without(knockouts: Sequence[Knockout]) -> str:
    """How often it still fails without a step: of several, the one that fails most often."""
    tested = [one for one in knockouts if one.n]
    if not tested:
        return ""
    worst = max(tested, key=lambda one: (one.ci[1], one.rate or 0.0))
    which = "without it" if len(knockouts) == 1 else "with any one left out, at worst"
    return f"; {which} {_count(worst.n, worst.rate or 0.0, worst.ci)}"


def _count(n: int, rate: float, ci: tuple[float, float]) -> str:
    harmful = round(rate * n)
    if not harmful:
        return f"0 of {n:,} (at most {at_most(ci[1])})"
    return f"{harmful:,} of {n:,} ({percent(rate)} {interval(ci)})"


def sureness(view: MinimalView) -> str:
    """How sure it is that these steps are the least that fails."""
    found = view.finding
    least = bool(found.minimal_plan)
    if found.minimal_certified:
        cut = "" if found.cut is None else f" at cut {percent(found.cut)}"
        errs = (
            ""
            if found.certificate_alpha is None
            else f", wrong with probability at most {percent(found.certificate_alpha)}"
        )
        each = ", and less often without any one step" if least else ""
        return f"Certified{cut}: on fresh calls it fails more often than that{each}{errs}."
    known = {
        "unresolved within budget": "Unresolved within the budget: it fails, but that no smaller "
        "part of it does was not shown; what is known stands below.",
        "minimal, not certified": "Minimal as far as the search saw, but not certified within the "
        "budget.",
        "interrupted": "Interrupted: the best so far, and not certified.",
        "not shrunk": "Not shrunk: the plan is the one that was met.",
    }
    return known.get(found.state, f"Not certified: {line(found.state, 200)}.")


def values_sentence(tried: TriedValues) -> str:
    """Whether it is this value or any.

    >>> values_sentence(TriedValues(transform="rename_tools", parameter="x", tried=11, alike=11))
    'rename_tools, x: any of 11 other values tried did it too'
    >>> values_sentence(TriedValues(transform="rename_tools", tried=3, alike=0, unsettled=1))
    'rename_tools: only this value: none of 3 others tried did it, 1 of them undecided'
    """
    name = ", ".join(filter(None, [line(tried.transform, 60), line(tried.parameter, 40)]))
    open_ = f", {tried.unsettled:,} of them undecided" if tried.unsettled else ""
    if not tried.tried:
        return f"{name}: no other value was tried"
    if tried.alike == tried.tried:
        other = (
            "the one other value" if tried.tried == 1 else f"any of {tried.tried:,} other values"
        )
        return f"{name}: {other} tried did it too"
    if not tried.alike:
        others = plural(tried.tried, "other")
        return f"{name}: only this value: none of {others} tried did it{open_}"
    return f"{name}: {tried.alike:,} of {tried.tried:,} other values tried did it too{open_}"


def spent_sentence(spent: Iterable[Spent]) -> str:
    """What each level cost.

    >>> spent_sentence([Spent(level="plan", search=31, certificate=23)])
    '54 calls: plan 31 to search, 23 for the certificate'
    """
    spent = tuple(spent)
    each = (
        f"{one.level} {one.search:,} to search"
        + (f", {one.certificate:,} for the certificate" if one.certificate else "")
        for one in spent
    )
    total = sum(one.search + one.certificate for one in spent)
    return ": ".join(filter(None, [plural(total, "call"), "; ".join(each)]))


_NOUNS = {"prompt": "paragraph", "inbox": "item of the inbox", "tools": "tool"}


def left_out_phrase(parts: Sequence[Part]) -> str:
    """What was left out whole, counted."""
    counted = Counter(part.section for part in parts)
    named = (
        plural(n, _NOUNS[section]).replace("item of the inboxs", "items of the inbox")
        for section, n in counted.items()
    )
    return ", ".join(named)


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
    told = [sureness(view)]
    if view.interrupted and view.finding.state != "interrupted":
        told.append("Interrupted: the best so far.")
    told += [line(note, 600) for note in view.notes]
    told += [_other(steps) for steps in view.others[:5]]
    if view.moved_values:
        told.append(f"Its simplest values: {' + '.join(map(call_of, view.plan.steps))}.")
    after = [values_sentence(tried) for tried in view.values]
    said = [f"Values: {sentence}." for sentence in after]
    if difference is not None:
        dropped = left_out_phrase(difference.left_out)
        said.append(f"Text: {sizes(difference)}{f'; left out: {dropped}' if dropped else ''}.")
    if view.spent:
        said.append(f"Spent: {spent_sentence(view.spent)}.")
    blocks: list[RenderableType] = [head]
    blocks += [Padding(Text(sentence), (0, 0, 0, 2)) for sentence in told]
    blocks.append(Padding(_table(view), (0, 0, 0, 2)))
    blocks += [Padding(Text(sentence), (0, 0, 0, 2)) for sentence in said]
    if difference is not None:
        blocks += _excerpt(difference, where, width)
    blocks.append(_command("  Show: ", show_command(view, where)))
    if view.replay:
        blocks.append(_command("  Replay: ", line(view.replay, 2_000)))
    if where is not None:
        test = test_file(view.finding.id)
        blocks.append(_command("  Files: ", line(where, 1_000)))
        blocks.append(Text(f"    request.txt to paste, {test} to run, difference.html to read"))
    return blocks


def _other(steps: Sequence[Step]) -> str:
    return f"So does {' + '.join(call_of(step, 30) for step in steps[:4])}, on its own."


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
    found = view.finding
    status = "above the cut" if found.minimal_certified else ""
    rows = []
    if found.minimal_plan:
        counted = proportion(found.n, found.harmful, found.ci, view.alpha)
        rows.append(("the smallest change", counted, status))
    for one in found.knockouts:
        harmful = round((one.rate or 0.0) * one.n)
        counted = proportion(one.n, harmful, one.ci, view.alpha)
        rows.append((f"without {line(one.transform, 40)}", counted, one.status))
    rows.append(("the seed as it is", *_rated(view.canonical, view.alpha)))
    for name, rate in (("its simplest values", view.moved), ("its text reduced", view.reduced)):
        if rate is not None:
            counted, lost = _rated(rate, view.alpha)
            rows.append((name, counted, "; ".join(filter(None, ["rate only", lost]))))
    return rows


def _rated(rate: Rate, alpha: float) -> tuple[str, str]:
    if not rate.n and not rate.unusable:
        return "not asked", ""
    lost = f"{percent(unusable_share(rate))} unusable" if rate.unusable else ""
    return proportion(rate.n, rate.harmful, rate.ci, alpha), lost


def _excerpt(difference: Difference, where: Path | None, width: int) -> list[RenderableType]:

    lines = rich_lines(difference, width - 2)[1:]  # its length has been said
    while lines and not lines[0].plain:
        lines.pop(0)
    shown, more = lines[:DIFFERENCE_LINES], len(lines) - DIFFERENCE_LINES
    blocks: list[RenderableType] = [Text("  What differs from the seed:", style="bold")]
    blocks += [Padding(one, (0, 0, 0, 2)) for one in shown]
    if more > 0:
        whole = "; whole in difference.txt and difference.html" if where else ""
        blocks.append(Text(f"  … {plural(more, 'more line')}{whole}", style="dim"))
    return blocks


# ------------------------------------------------------------------------------------------- files


def test_file(finding: str) -> str:
    """What the test of a finding is called: a file that Python can import and pytest collects.

    >>> test_file("F1"), test_file("a/b") == test_file("a:b")
    ('test_F1.py', False)
    """
    return f"test_{folder_name(finding).replace('-', '_')}.py"


def request_json(minimal: "Variant") -> bytes:
    """The request as the body of a call of the Messages API; the model is a placeholder."""
    request = minimal.request
    body = {"model": MODEL, "max_tokens": MAX_TOKENS, "system": request.system}
    body |= {"messages": list(request.messages)}
    if request.tools:
        body["tools"] = list(request.tools)
    return _json(body)


def request_text(minimal: "Variant") -> str:
    """The request to paste into a playground: system, turns, tools; made plain."""
    request = minimal.request
    parts = [f"=== SYSTEM ===\n\n{request.system}"]
    parts += [f"=== {m['role'].upper()} ===\n\n{m['content']}" for m in request.messages]
    if request.tools:
        tools = json.dumps(list(request.tools), indent=2, ensure_ascii=False)
        parts.append(f"=== TOOLS ===\n\n{tools}")
    return plain("\n\n".join(parts)) + "\n"


def difference_page(view: MinimalView, difference: Difference) -> str:
    """The difference as a page of its own: no script, nothing fetched, everything escaped."""
    return _template().render(
        title=f"{line(view.finding.id, 40)}: {line(view.finding.seed, 60)}",
        headline=headline(view),
        sureness=sureness(view),
        difference=fragment(difference),
    )


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("difference.html.j2")


def files(
    view: MinimalView, minimal: "Variant", difference: Difference, test: str
) -> dict[str, bytes]:
    """What lies in a finding's folder, by file name; `test` is its snippet.

    ``request.json`` and ``scenario.json`` hold the texts as they are, the others made plain.
    """
    scenario = minimal.scenario.model_dump(mode="json", exclude_defaults=True)
    said = {
        "request.txt": request_text(minimal),
        "difference.txt": f"{plain(headline(view))}\n{sureness(view)}\n\n{text(difference)}",
        "difference.html": difference_page(view, difference),
        test_file(view.finding.id): test,
    }
    written = {name: content.encode("utf-8", "replace") for name, content in said.items()}
    return written | {
        "request.json": request_json(minimal),
        "scenario.json": _json(scenario),
        "plan.json": _json(view.plan.model_dump(mode="json")),
    }


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def write(
    run: Path | str, view: MinimalView, minimal: "Variant", difference: Difference, test: str
) -> Path:
    """Write the files of a finding into its folder of the run, each whole or not at all.

    What lies there under the same names is replaced. Returns the folder; raises `StoreError` where
    nothing can be written.
    """
    where = folder(run, view)
    try:
        where.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"cannot make the folder {str(where)!r} ({error.strerror}); free or allow the place "
            "and run `holdfast shrink` on the run"
        ) from None
    for name, content in files(view, minimal, difference, test).items():
        put_file(where / name, content, again="holdfast shrink")
    return where
