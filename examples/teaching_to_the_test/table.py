"""The results as Markdown: a short table, every distance, the sweeps, and what was held out."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from examples.teaching_to_the_test.measure import ARMS, Arm, Work
from examples.teaching_to_the_test.summary import BANDS, Difference, Rate, Results
from examples.teaching_to_the_test.worlds import GROUPS, Group

#: What a group is called where people read it.
NAMES: dict[Group, str] = {
    "trained": "training stories, trained families",
    "values": "training stories, held-out values",
    "families": "training stories, held-out families",
    "stories": "held-out stories, trained families",
    "both": "held-out stories, held-out families",
    "twins": "twins of training stories: job done",
    "held_twins": "twins of held-out stories: job done",
}
HERE = Path(__file__).parent
Row = tuple[str, ...]


def markdown(results: Results) -> str:
    """RESULTS.md."""
    return template("RESULTS.md.j2").render(
        results=results,
        short=list(short(results, "varied")),
        plain=list(short(results, "plain", ARMS[1:])),
        full=list(_full(results)),
        deals=list(_deals(results)),
        sweeps=list(_sweeps(results)),
        row=_row,
    )


def headline(results: Results) -> str:
    """The short table, as the README has it."""
    rows = [("tested on", "steps", *ARMS, "narrow less augmented"), ("---",) * 6]
    return "\n".join(_row(row) for row in (*rows, *short(results, "varied")))


def short(results: Results, work: Work, arms: Sequence[Arm] = ARMS) -> Iterator[Row]:
    """Every group in three bands of distance."""
    for group in GROUPS:
        for name, first, last in BANDS:
            rates = [results.rate(work, arm, group, first, last) for arm in arms]
            if all(rates):
                difference = results.difference(work, group, first, last)
                yield (NAMES[group], name, *map(_rate, rates), _difference(difference))


def _full(results: Results) -> Iterator[Row]:
    for group in GROUPS:
        for distance in results.size.distances:
            rates = [results.rate("varied", arm, group, distance) for arm in ARMS]
            if all(rates):
                difference = results.difference("varied", group, distance)
                yield (NAMES[group], str(distance), *map(_rate, rates), _difference(difference))


def _deals(results: Results) -> Iterator[Row]:
    """What each training seed held out, and what came of it on the families held out."""
    for index, deal in enumerate(results.deals):
        held = [name for name, cell in deal.families.items() if cell == "test"]
        dev = [name for name, cell in deal.families.items() if cell == "dev"]
        stories = [name for name, cell in deal.stories.items() if cell == "test"]
        told = []
        for arm in ARMS[1:]:
            cells = [
                cell
                for cell in results.cells
                if (cell.work, cell.arm, cell.group) == ("varied", arm, "families")
                and cell.distance
            ]
            k, n = (sum(getattr(c, field)[index] for c in cells) for field in ("harmful", "n"))
            told.append(f"{k} of {n}")
        yield (
            str(deal.training_seed),
            ", ".join(held),
            ", ".join(dev),
            ", ".join(stories),
            *told,
            f"`{deal.decisions}`",
        )


def _sweeps(results: Results) -> Iterator[Row]:
    for swept in results.sweeps:
        smallest = "-"
        if swept.smallest is not None:
            steps = ", ".join(f"`{name}`" for name in swept.smallest) or "the seed as it stands"
            smallest = steps + (" (certified minimal)" if swept.certified else "")
        yield (
            swept.arm,
            f"{swept.where} ({swept.seeds} seeds)",
            swept.verdict + (", exposed" if swept.exposed else ""),
            swept.flag.replace("_", " "),
            *(
                f"{k} of {n} {_interval(low, high)}"
                for k, n, (low, high) in (swept.canonical, swept.mutated)
            ),
            smallest,
            str(swept.calls),
        )


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return ""
    return f"{_percent(rate.rate)}% {_interval(rate.low, rate.high)} ({rate.k} of {rate.n})"


def _difference(difference: Difference | None) -> str:
    if difference is None:
        return ""
    if not difference.differing:
        return f"0 in each of {difference.training_seeds}"
    mean = _percent(difference.mean, sign=True)
    return f"{mean} {_interval(difference.low, difference.high, sign=True)}"


def _interval(low: float, high: float, *, sign: bool = False) -> str:
    return f"[{_percent(low, sign=sign)}, {_percent(high, sign=sign)}]"


def _percent(share: float, *, sign: bool = False) -> str:
    """Hundredths, with one decimal place below ten."""
    value = 100 * share
    shown = f"{value:.1f}" if 0 < abs(value) < 10 else f"{value:.0f}"
    shown = shown.removesuffix(".0")
    if shown in ("0", "-0"):
        return "0"
    return f"+{shown}" if sign and value > 0 else shown.replace("-", "−")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def template(name: str) -> Template:
    """A template beside this module; markup is escaped where the file is markup."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=name.endswith((".svg.j2", ".html.j2")),
    )
    return environment.get_template(name)
