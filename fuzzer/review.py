"""A person goes through a run: what to show, what an answer saves, what it comes to.

First the failures, those that carry a finding before the others; then what judges disagree on; then
a random sample of what the judge called safe, without which nobody knows what it missed. Every
answer is saved at once, in the run and as a labelled transcript beside it.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fuzzer.errors import ConfigurationError, StoreError
from fuzzer.people import SAMPLE, Name, Said, in_rates, said_of, sample_of
from fuzzer.records import (
    EXIT_CODES,
    PERSON,
    PERSON_VERSION,
    Conclusion,
    Evidence,
    Record,
    Report,
    Reviewed,
    Trial,
    Verdict,
)
from fuzzer.rejudge import Variants
from fuzzer.store import RunStore
from fuzzer.variant import Variant

LABELS = "labels.jsonl"

Answer = Literal["harmful", "safe", "unsure"]
Why = Literal["failure", "disagreement", "sample"]


class Item(NamedTuple):
    """A trial to look at, and why."""

    said: Said
    why: Why
    finding: str = ""  # whose evidence it carries


class Card(NamedTuple):
    """What a person is shown of a trial."""

    item: Item
    trial: Trial
    variant: Variant | None
    facts: tuple[tuple[str, str], ...]  # what a judge must know, by the names of this variant
    missing: str = ""  # why there are no facts


class Summary(Record):
    """What a review has come to."""

    run: str
    verdict: Conclusion
    provisional: bool
    sentence: str
    answered: int = 0  # labels given this time, corrections included
    unsure: int = 0
    left: int = 0  # in the queue and without an answer
    review: Reviewed = Reviewed()
    labels: str = ""  # the file they are in

    @property
    def exit_code(self) -> int:
        """What the sweep would exit with now."""
        return EXIT_CODES[self.verdict]


# ------------------------------------------------------------------------------------- the queue


def queue(
    store: RunStore,
    report: Report,
    *,
    share: float = 0.05,
    random_seed: int = 0,
    findings_only: bool = False,
    blind: bool = False,
    again: bool = False,
) -> list[Item]:
    """The trials to look at, in order; what has a label only with `again`.

    `share` of the negatives in the rates is drawn by `random_seed`, at least one if there are any
    (0: none), and remembered in the run. With `blind` all are shuffled: the order would tell what
    the judge said. With `findings_only` a failure that carries no finding is left out.
    """
    trials = list(said_of(store))
    carries = _carried(trials, report)
    failures = [
        s for s in trials if s.value == "harmful" and (in_rates(s, report) or s.name in carries)
    ]
    if findings_only:
        failures = [said for said in failures if said.name in carries]
    failures.sort(key=lambda said: (carries.get(said.name, "~"), said.phase != "sweep", said.idx))
    items = [Item(said, "failure", carries.get(said.name, "")) for said in failures]
    items += [Item(s, "disagreement") for s in trials if s.disputed and s.value != "harmful"]
    items += [Item(said, "sample") for said in _sample(store, trials, report, share, random_seed)]
    once: dict[Name, Item] = {}
    for item in items:
        if again or item.said.label is None:
            once.setdefault(item.said.name, item)
    found = list(once.values())
    if blind:
        found.sort(key=lambda item: _shuffled(random_seed, item.said.name))
    return found


def _carried(trials: Iterable[Said], report: Report) -> dict[Name, str]:
    """The failures that a finding rests on, with the finding: its replays, its certificate."""
    numbers = {f.id.removeprefix("F"): f.id for f in report.findings}
    found = {}
    for said in trials:
        if said.value != "harmful":
            continue
        kind, _, number = said.account.partition(":")
        if kind == "replay" and number in numbers and in_rates(said, report):
            found[said.name] = numbers[number]
        elif said.account == "shrink:certificate":
            number = said.phase.split(":")[1]  # of whichever level
            if number in numbers:
                found[said.name] = numbers[number]
    return found


def _sample(
    store: RunStore, trials: Iterable[Said], report: Report, share: float, random_seed: int
) -> list[Said]:
    """Negatives in a random order, so that whoever stops half way has seen a random part."""
    if not 0 <= share <= 1:
        raise ConfigurationError(f"--sample {share:g} is no share; give one between 0 and 1")
    negatives = [said for said in trials if said.value == "safe" and in_rates(said, report)]
    negatives.sort(key=lambda said: _shuffled(random_seed, said.name))
    drawn = negatives[: math.ceil(share * len(negatives))]
    before = sample_of(store)
    if not before.issuperset(said.name for said in drawn):
        store.put(SAMPLE, sorted(before.union(said.name for said in drawn)))
    return drawn


def _shuffled(random_seed: int, name: Name) -> bytes:
    return hashlib.sha256(f"{random_seed}:{name[0]}:{name[1]}".encode()).digest()


# --------------------------------------------------------------------------------------- a card


def card(store: RunStore, variants: Variants, item: Item) -> Card:
    """A trial with the facts of its variant."""
    trial = store.trial(item.said.idx, item.said.phase)
    assert trial is not None, "it was read from the store"
    variant = variants.of(trial)
    if isinstance(variant, str):
        return Card(item, trial, None, (), missing=variant)
    return Card(item, trial, variant, _facts(variant))


def _facts(variant: Variant) -> tuple[tuple[str, str], ...]:
    scenario, slots = variant.scenario, variant.slots
    ledger, known = scenario.ledger, {person.role for person in scenario.cast}

    def people(roles: Iterable[str]) -> str:
        return ", ".join(slots.person(role) for role in roles if role in known)

    told = (
        ("behaviour", ledger.behaviour.replace("_", " ")),
        ("the agent", people(("agent",))),
        ("target", people((ledger.target,))),
        ("secret", slots.fill(ledger.leverage)),
        ("at stake", slots.fill(ledger.consequence) or slots.fill(scenario.threat.text)),
        ("exposed to", people(ledger.exposed_to)),
        ("must not reach", people(ledger.forbidden)),
        ("harmful if", "; ".join(act.name.replace("_", " ") for act in ledger.acts)),
    )
    return tuple((name, text) for name, text in told if text)


# ------------------------------------------------------------------------------------- an answer


class Desk:
    """Where answers are put down: in the run, and in a file of labelled transcripts."""

    def __init__(
        self, store: RunStore, report: Report, labels: Path | None = None, reviewer: str = ""
    ) -> None:
        if store.claim.get("judge", {}).get("name") == PERSON:
            raise ConfigurationError(
                f"the judge of the run in {str(store.directory)!r} is called {PERSON!r}, the name "
                "under which a person's labels are kept; sweep with a judge of another name"
            )
        self.store = store
        self.reviewer = reviewer
        self.path = store.directory / LABELS if labels is None else labels
        self.answers: dict[Name, Answer] = {}
        self._source = store.directory.resolve().name
        made = f"{report.model} {report.timing.started}".encode()
        self._run = f"{self._source}-{hashlib.blake2b(made, digest_size=4).hexdigest()}"

    def put(self, card: Card, answer: Answer) -> None:
        """Save an answer; a later one to the same trial takes its place, an unsure one withdraws.

        Raises `StoreError` where the file of labels cannot be written.
        """
        trial, at = card.trial, datetime.now(UTC).isoformat(timespec="seconds")
        row = {
            "id": f"{self._run}/{trial.phase}/{trial.idx}",
            "seed": trial.seed,
            "plan": trial.plan.model_dump(mode="json")["steps"],
            "channel": card.variant.scenario.channel if card.variant else "",
            "label": answer,
            "turns": [_turn(turn) for turn in trial.transcript.turns if turn.role == "assistant"],
            "source": self._source,
            "reviewer": self.reviewer,
            "at": at,
        }
        verdict = Verdict(
            value="refer" if answer == "unsure" else answer,
            evidence=(Evidence(turn=0, quote="", why=f"{self.reviewer or 'a person'}, {at}"),),
            judge=PERSON,
            version=PERSON_VERSION,
        )
        self.store.save_verdict(trial.idx, verdict, phase=trial.phase, enters=False, now=True)
        _write_label(self.path, row)
        self.answers[trial.phase, trial.idx] = answer


def _turn(turn: Any) -> dict[str, Any]:
    calls = [{"name": call.name, "input": call.input} for call in turn.calls]
    return {"text": turn.text, "calls": calls, "reasoning": turn.reasoning}


def _write_label(path: Path, row: Mapping[str, Any]) -> None:
    """Append a labelled transcript; where one of its id is there, write the file anew without it.

    What a person is unsure of is in the file no more.
    """
    new = json.dumps(row, ensure_ascii=True)  # also what is no text, such as half a surrogate pair
    keep = row["label"] != "unsure"
    try:
        there = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        others = [text for text in there if text.strip() and _id(text) != row["id"]]
        if len(others) == len(there):
            if keep:
                with path.open("a", encoding="utf-8") as file:
                    file.write(f"{new}\n")
            return
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        left = [*others, *([new] if keep else [])]
        beside.write_text("".join(f"{text}\n" for text in left), encoding="utf-8")
        beside.replace(path)
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"cannot write the labels to {str(path)!r} ({getattr(error, 'strerror', error)}); the "
            "answer is stored in the run; give another --labels"
        ) from None


def _id(text: str) -> object:
    try:
        row = json.loads(text)
    except ValueError:
        return None  # somebody's own line: left as it is
    return row.get("id") if isinstance(row, dict) else None


# ------------------------------------------------------------------------------------ the outcome


def summarise(report: Report, desk: Desk, items: Iterable[Item]) -> Summary:
    """What the review has come to, from the run's report as it is now."""
    answers = list(desk.answers.values())
    return Summary(
        run=str(desk.store.directory),
        verdict=report.verdict,
        provisional=report.provisional,
        sentence=report.sentence,
        answered=sum(answer != "unsure" for answer in answers),
        unsure=answers.count("unsure"),
        left=sum(item.said.name not in desk.answers for item in items),
        review=report.review or Reviewed(),
        labels=str(desk.path),
    )
