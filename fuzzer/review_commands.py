"""Commands about the judge: `review` walks a person through what it said of a run."""

import io
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TextIO

import click

from fuzzer.errors import ConfigurationError, HoldfastError

if TYPE_CHECKING:
    from fuzzer.records import Report
    from fuzzer.review import Card, Desk, Item

Said = Literal["harmful", "safe", "unsure", "back", "quit", "request"]
_ANSWERS: dict[str, Said] = {
    **dict.fromkeys(("h", "harmful"), "harmful"),
    **dict.fromkeys(("s", "safe"), "safe"),
    **dict.fromkeys(("?", "u", "unsure"), "unsure"),
    **dict.fromkeys(("b", "back"), "back"),
    **dict.fromkeys(("q", "quit"), "quit"),
    **dict.fromkeys(("r", "request"), "request"),
}
_PROMPT = "h harmful, s safe, ? unsure, b back, r the request, q quit: "


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--sample", default=0.05, show_default=True, help="Share of what was called safe to look at."
)
@click.option("--seed", "random_seed", default=0, show_default=True, help="Random seed of that.")
@click.option("--reviewer", default="", metavar="NAME", help="Who looks; kept with each label.")
@click.option("--labels", metavar="FILE", help="Labelled transcripts [labels.jsonl in RUN].")
@click.option(
    "--all-positives/--findings",
    default=True,
    help="All failures [default], or only those that carry a finding.",
)
@click.option("--blind", is_flag=True, help="Never show what the judge said or marked; shuffled.")
@click.option("--again", is_flag=True, help="Also what has a label: to correct it.")
@click.option("--plugin", "plugins", multiple=True, metavar="FILE", help="As the sweep was given.")
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    metavar="SEED",
    help="A seed that is not installed, by its file, as the sweep was given; may be repeated.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the summary as JSON, the rest on stderr."
)
def review(
    *,
    run: str,
    sample: float,
    random_seed: int,
    reviewer: str,
    labels: str | None,
    all_positives: bool,
    blind: bool,
    again: bool,
    plugins: tuple[str, ...],
    scenarios: tuple[str, ...],
    as_json: bool,
) -> None:
    """Look through a run: its failures, what judges disagree on, a sample of what passed.

    Every answer is saved at once. A failure you call harmful is confirmed, one you call safe counts
    no more; the report is then made again, without a call to the model. Exits as the sweep would.
    """
    from pathlib import Path

    from fuzzer import review as reviews
    from fuzzer.registry import find_seed, plugged_in
    from fuzzer.rejudge import Variants
    from fuzzer.reviewing import conclude, ended
    from fuzzer.store import RunStore

    catalogue, own = plugged_in(plugins)
    own = (*own, *map(find_seed, scenarios))
    with RunStore.resume(run) as store:
        report = ended(store)
        desk = reviews.Desk(store, report, Path(labels) if labels else None, reviewer)
        items = reviews.queue(
            store,
            report,
            share=sample,
            random_seed=random_seed,
            findings_only=not all_positives,
            blind=blind,
            again=again,
        )
        variants = Variants(store, catalogue, own)
        _walk(
            items,
            lambda item: reviews.card(store, variants, item),
            desk,
            blind=blind,
            out=sys.stderr if as_json else sys.stdout,
        )
        report = _concluded(lambda: conclude(store, catalogue, own), desk)
        summary = reviews.summarise(report, desk, items)
    if as_json:
        click.echo(json.dumps(summary.model_dump(mode="json"), indent=2, ensure_ascii=True))
    else:
        from reports.review import show_summary

        show_summary(summary)
    sys.exit(summary.exit_code)


def _concluded(conclude: "Callable[[], Report]", desk: "Desk") -> "Report":
    try:
        return conclude()
    except HoldfastError as error:
        if not desk.answers:
            raise
        raise ConfigurationError(f"{error} (the labels are saved all the same)") from None


def _walk(
    items: "list[Item]",
    card_of: "Callable[[Item], Card]",
    desk: "Desk",
    *,
    blind: bool,
    out: TextIO,
) -> None:
    """Show one after the other, and save what is answered, until the end or a wish to stop.

    An interrupt is such a wish wherever it lands; an answer that is being saved is first saved.
    """
    try:
        _go_through(items, card_of, desk, blind=blind, out=out)
    except KeyboardInterrupt:
        out.write("\n")


def _go_through(
    items: "list[Item]",
    card_of: "Callable[[Item], Card]",
    desk: "Desk",
    *,
    blind: bool,
    out: TextIO,
) -> None:
    from reports.review import show_answer, show_card, show_head, show_request

    show_head(items, blind=blind, stream=out)
    answers = _input()
    at = 0
    while at < len(items):
        card = card_of(items[at])
        show_card(card, at + 1, len(items), marked=not blind, stream=out)
        said = _ask(answers, out)
        while said == "request":
            show_request(card, stream=out)
            said = _ask(answers, out)
        if said == "quit":
            return
        if said == "back":
            at = max(0, at - 1)
            continue
        with _interrupts_later():
            desk.put(card, said)
        if not blind:
            show_answer(card, said, stream=out)
        at += 1


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """A Ctrl-C in here comes at the end: an answer is never saved by half."""
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


def _input() -> Iterator[str]:
    """What is typed or piped in, line by line; what is no text is no answer."""
    if sys.stdin is None:
        return iter(())
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    return iter(sys.stdin)


def _ask(lines: Iterator[str], out: TextIO) -> Said:
    """The next answer that is one; the end of the input is a wish to stop."""
    while True:
        out.write(_PROMPT)
        out.flush()
        text = next(lines, None)
        if text is None:
            out.write("\n")
            return "quit"
        if not sys.stdin.isatty():  # a terminal has shown it
            out.write("\n")
        if (said := _ANSWERS.get(text.strip().lower())) is not None:
            return said
