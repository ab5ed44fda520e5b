"""A run's transcripts judged again by the judge installed now, without a call to the subject.

The accounts are kept: the run's verdict, e-values and exit code stay as they are, and a later
verdict is stored beside the one that entered, never in its place. A later judge may lower a
failure; a failure that only it sees is counted and shown, and enters nothing.

What cannot be built again exactly as the subject met it (seed, transform and request) is not
judged: it would be held against the wrong ledger.
"""

import asyncio
import os
from collections import Counter, OrderedDict
from collections.abc import Generator, Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from fuzzer import registry
from fuzzer.accounts import Tally
from fuzzer.errors import ConfigurationError, HoldfastError, StoreError
from fuzzer.evaluate import outcome_of
from fuzzer.evidence import confidence_sequence
from fuzzer.graph import Catalogue
from fuzzer.judges import Judge
from fuzzer.judges.rules import RulesJudge
from fuzzer.proposal import D_STRATA
from fuzzer.records import EXIT_CODES, Conclusion, Rate, Record, Trial, Verdict
from fuzzer.scenario import Scenario
from fuzzer.store import DATABASE, RunStore
from fuzzer.transcript import Transcript
from fuzzer.transform import Step, Transform
from fuzzer.variant import Variant

CHANGED_SHOWN = 20
MAX_CONNECTIONS = 10
CHANGED = "a transform has changed since the run"
_QUOTED = 500  # characters of evidence that a changed trial shows
_CACHED = 64  # variants: canonical calls and replays return to a few

Before = Literal["harmful", "safe", "unusable", "not judged"]
Now = Literal["harmful", "safe", "unusable"]


class JudgedBy(Record):
    """A judge by name and version."""

    name: str = ""
    version: int = 1


class Change(Record):
    """A cell of the change matrix. A referral is unusable content here, as in every rate."""

    before: Before
    now: Now
    n: int


class ChangedTrial(Record):
    """A trial that is judged otherwise now, with the evidence of the later judge, else the first.

    `quote` is verbatim subject text, cut short (hostile until escaped).
    """

    phase: str
    idx: int
    seed: str
    plan: tuple[Step, ...]
    before: Before
    now: Now
    cause: str = ""  # of an unusable verdict now
    quote: str = ""
    why: str = ""
    quoted_by: Literal["before", "now"] | None = None  # whose evidence it is; None: there is none


class BeforeAndNow(Record):
    """Rates of the same trials under both judges: those in the run's rates, and judged by both."""

    before: Rate = Rate()
    now: Rate = Rate()


class Rejudged(Record):
    """What the judge installed now says of a run, beside what was said then."""

    schema_version: Literal[1] = 1
    model: str
    verdict: Conclusion | None  # the run's own, and unchanged; None: it has not ended
    alpha: float = 0.05
    judge_before: JudgedBy
    judge_now: JudgedBy
    trials: int  # answered ones, of the sweep and of every shrink
    judged: int  # of these, by the judge of now
    stored: int  # verdicts that stand beside the run's own since this time
    not_stored: str = ""  # why the run could not be written; empty: it could, or need not
    repeated: int = 0  # trials that this very judge had judged before, here compared
    differing: int = 0  # of these, with another verdict: the judge, or its code, is not the same
    changes: tuple[Change, ...] = ()
    changed: int = 0
    lowered: int = 0  # changed: failures that are none to the judge of now
    raised: int = 0  # changed: failures to the judge of now only; they enter nothing
    changed_trials: tuple[ChangedTrial, ...] = ()  # the first of them
    canonical: BeforeAndNow = BeforeAndNow()
    mutated: BeforeAndNow = BeforeAndNow()
    unusable: dict[str, int] = Field(default_factory=dict)  # now, by cause
    not_judged: dict[str, int] = Field(default_factory=dict)  # could not be, by reason

    @property
    def exit_code(self) -> int:
        """What the run exits with, whatever is said now; one that has not ended: inconclusive."""
        return EXIT_CODES[self.verdict or "inconclusive"]


async def arejudge(
    run: Path | str,
    *,
    judge: Judge | None = None,
    catalogue: Catalogue | Iterable[Transform] | None = None,
    seeds: Iterable[Scenario | str] = (),
    max_connections: int = MAX_CONNECTIONS,
) -> Rejudged:
    """Judge every transcript of a run again, whether it has ended or not.

    `judge` is the rules judge unless given; `seeds` are scenarios, names or paths beside the
    installed ones, and go before them; `max_connections` is how many transcripts are judged at
    once. Verdicts are stored as they come, so a second call only compares them; where the run is
    being written or may not be, they are not, and the record says why.

    Raises `HoldfastError` for what the user can mend, also when the judge does.
    """
    if max_connections < 1:
        raise ConfigurationError(f"max_connections = {max_connections} is not possible; at least 1")
    judge = judge or RulesJudge()
    known = registry.find_catalogue() if catalogue is None else Catalogue.of(catalogue)
    own = [registry.find_seed(s) if isinstance(s, str) else s for s in seeds]
    store, not_stored = _opened(Path(run), judge)
    for model in getattr(judge, "judges", ()):
        model.gate.allow(max_connections)
    with store:
        variants = Variants(store, known, own)
        again = _Again(store, judge, not_stored)
        try:
            with closing(_judgeable(store, variants, again)) as judgeable:
                while window := list(islice(judgeable, max_connections)):
                    for (trial, _), said in zip(window, await _ask_all(judge, window), strict=True):
                        again.add(trial, said)
        finally:
            if (close := getattr(judge, "close", None)) is not None:
                await close()
        return again.result()


def rejudge(
    run: Path | str,
    *,
    judge: Judge | None = None,
    catalogue: Catalogue | Iterable[Transform] | None = None,
    seeds: Iterable[Scenario | str] = (),
    max_connections: int = MAX_CONNECTIONS,
) -> Rejudged:
    """`arejudge`, for callers without an event loop."""
    return asyncio.run(
        arejudge(
            run, judge=judge, catalogue=catalogue, seeds=seeds, max_connections=max_connections
        )
    )


# ----------------------------------------------------------------------------------- the run


def _opened(run: Path, judge: Judge) -> tuple[RunStore, str]:
    """The run, to write in if there is something to write; else why it can only be read."""
    store = RunStore.read(run)
    if _judged_by(store) == (judge.name, judge.version):
        # What it has judged stands already, and what it has not a resume must let enter.
        return store, ""
    if not os.access(run / DATABASE, os.W_OK):
        return store, f"{str(run / DATABASE)!r} may not be written"
    try:
        writable = RunStore.resume(run)
    except StoreError as error:
        what, _, _ = str(error).rpartition("; ")  # without the advice, which is for a sweep
        return store, what or str(error)
    store.close()
    return writable, ""


def _judged_by(store: RunStore) -> tuple[str, int]:
    said: dict[str, Any] = store.claim.get("judge") or {}
    return str(said.get("name", "")), int(said.get("version", 1))


def _judgeable(
    store: RunStore, variants: "Variants", again: "_Again"
) -> Generator[tuple[Trial, Variant], None, None]:
    """Trials with what they are judged against; the others are counted with their reason."""
    for trial in store.trials():
        variant = variants.of(trial)
        if isinstance(variant, Variant):
            yield trial, variant
        else:
            again.not_judged[variant] += 1


# -------------------------------------------------------------------------------- variants


class Variants:
    """The variants of trials, built again from what is installed; the last few are kept."""

    def __init__(self, store: RunStore, catalogue: Catalogue, seeds: Iterable[Scenario]) -> None:
        self._store = store
        self._catalogue = catalogue
        self._seeds = {seed.name: seed for seed in (*registry.find_seeds(), *seeds)}
        self._hashes: dict[str, str] = store.claim.get("seeds") or {}
        self._kept: OrderedDict[str, Variant | str] = OrderedDict()

    def of(self, trial: Trial) -> Variant | str:
        """The variant as the subject met it, or why there is none any more."""
        found = self._kept.get(trial.variant_id)
        if found is None:
            found = self._kept[trial.variant_id] = self._built(trial)
            if len(self._kept) > _CACHED:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(trial.variant_id)
        return found

    def seed(self, name: str) -> Scenario | str:
        """The seed as it was swept, or why there is none any more."""
        seed = self._seeds.get(name)
        if seed is None:
            return f"the seed {name!r} is not installed; name its file or its plug-in"
        if self._hashes.get(name, seed.content_hash) != seed.content_hash:
            return f"the seed {name!r} has changed since the run"
        return seed

    def missing(self, transforms: Iterable[str]) -> str:
        """The sentence for the first of these transforms that is not installed; "" if all are."""
        gone = (name for name in transforms if name not in self._catalogue)
        found = next(gone, None)
        return (
            "" if found is None else f"the transform {found!r} is not installed; name its plug-in"
        )

    def _built(self, trial: Trial) -> Variant | str:
        seed = self.seed(trial.seed)
        if isinstance(seed, str):
            return seed
        if gone := self.missing(step.transform for step in trial.plan.steps):
            return gone
        try:
            variant = self._catalogue.variant(seed, trial.plan)
            same = variant.id == trial.variant_id
            rendered = variant.request_hash
        except Exception:  # whatever a changed transform does with parameters of the old one
            same = False
        if not same:
            return CHANGED
        if rendered != (self._store.request_hash(variant.id) or rendered):
            return "the same plan makes another request than in the run"
        return variant


# -------------------------------------------------------------------------------- judging


class _Said(NamedTuple):
    """A verdict; `spoken` unless the judge broke and it only says so."""

    verdict: Verdict
    spoken: bool


async def _ask_all(judge: Judge, window: list[tuple[Trial, Variant]]) -> list[_Said]:
    tasks = [asyncio.create_task(_ask(judge, variant, t.transcript)) for t, variant in window]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _ask(judge: Judge, variant: Variant, transcript: Transcript) -> _Said:
    """The judge's verdict under its own name: one that wraps another may give the other's."""
    name = {"judge": judge.name, "version": judge.version}
    try:
        said: object = await judge.judge(variant, transcript)
    except HoldfastError:
        raise
    except Exception as error:
        cause = f"the judge raised {type(error).__name__}"
        return _Said(Verdict(value="unusable", cause=cause, **name), spoken=False)
    if not isinstance(said, Verdict):
        cause = f"the judge returned {type(said).__name__}, not a Verdict"
        return _Said(Verdict(value="unusable", cause=cause, **name), spoken=False)
    return _Said(said.model_copy(update=name), spoken=True)


# -------------------------------------------------------------------------------- counting


class _Again:
    """What comes of it, trial by trial; of the trials themselves only the first changed stay."""

    def __init__(self, store: RunStore, judge: Judge, not_stored: str) -> None:
        self.not_judged: Counter[str] = Counter()
        self._store = store
        self._judge = judge
        self._not_stored = not_stored
        self._own = _judged_by(store) == (judge.name, judge.version)
        self._judged = self._stored = self._repeated = self._differing = 0
        self._changes: Counter[tuple[Before, Now]] = Counter()
        self._changed: list[ChangedTrial] = []
        self._causes: Counter[str] = Counter()
        self._tallies = {group: (Tally(), Tally()) for group in ("canonical", "mutated")}

    def add(self, trial: Trial, said: _Said) -> None:
        """Store a verdict if it is a new one, and count it."""
        self._keep(trial, said)
        outcome = outcome_of(said.verdict)
        before: Before = "not judged" if trial.verdict is None else outcome_of(trial.verdict).value
        self._judged += 1
        self._changes[before, outcome.value] += 1
        if outcome.value == "unusable":
            self._causes[_text(said.verdict.cause) or "referral unresolved"] += 1
        if trial.verdict is None:
            return
        if before != outcome.value and len(self._changed) < CHANGED_SHOWN:
            self._changed.append(_changed(trial, trial.verdict, said.verdict))
        if (group := _group(trial)) is not None:
            then, now = self._tallies[group]
            then.add(outcome_of(trial.verdict))
            now.add(outcome)

    def _keep(self, trial: Trial, said: _Said) -> None:
        name, version = self._judge.name, self._judge.version
        earlier = (
            trial.verdict
            if self._own
            else self._store.verdict_by(name, version, trial.idx, trial.phase)
        )
        if not said.spoken:
            return  # it has said nothing, and may the next time
        if earlier is not None:
            self._repeated += 1
            self._differing += not _alike(earlier, said.verdict)
        elif not self._own and not self._not_stored:
            # At once: a model judge's verdict was paid for.
            self._store.save_verdict(
                trial.idx, said.verdict, phase=trial.phase, enters=False, now=True
            )
            self._stored += 1

    def result(self) -> Rejudged:
        """The record."""
        report = self._store.report()
        name, version = _judged_by(self._store)
        alpha = float((self._store.claim.get("rules") or {}).get("alpha", 0.05))
        changed = {
            (before, now): n
            for (before, now), n in self._changes.items()
            if before not in (now, "not judged")
        }
        return Rejudged(
            model=str(self._store.claim.get("model", "")),
            verdict=report.verdict if report else None,
            alpha=alpha,
            judge_before=JudgedBy(name=name, version=version),
            judge_now=JudgedBy(name=self._judge.name, version=self._judge.version),
            trials=self._judged + self.not_judged.total(),
            judged=self._judged,
            stored=self._stored,
            not_stored=self._not_stored,
            repeated=self._repeated,
            differing=self._differing,
            changes=tuple(
                Change(before=before, now=now, n=n)
                for (before, now), n in sorted(self._changes.items())
            ),
            changed=sum(changed.values()),
            lowered=sum(n for (before, _), n in changed.items() if before == "harmful"),
            raised=sum(n for (_, now), n in changed.items() if now == "harmful"),
            changed_trials=tuple(self._changed),
            unusable=dict(sorted(self._causes.items())),
            not_judged=dict(sorted(self.not_judged.items())),
            **{
                group: BeforeAndNow(before=_rate(then, alpha), now=_rate(now, alpha))
                for group, (then, now) in self._tallies.items()
            },
        )


def _alike(one: Verdict, other: Verdict) -> bool:
    """Equal in whatever an account could see; a quote may be chosen otherwise."""
    return one.value == other.value and outcome_of(one) == outcome_of(other)


def _group(trial: Trial) -> str | None:
    """The rate that a trial is in, as in the run's report."""
    if trial.phase != "sweep" or trial.state == "after_stop":
        return None
    if trial.stratum == "canonical":
        return "canonical"
    return "mutated" if trial.stratum in D_STRATA else None


def _changed(trial: Trial, before: Verdict, now: Verdict) -> ChangedTrial:
    told: dict[str, Any] = {}
    for whose, verdict in (("now", now), ("before", before)):
        if verdict.evidence and not told:
            first = verdict.evidence[0]
            quote, why = _text(first.quote[:_QUOTED]), _text(first.why[:_QUOTED])
            told = {"quote": quote, "why": why, "quoted_by": whose}
    return ChangedTrial(
        phase=trial.phase,
        idx=trial.idx,
        seed=trial.seed,
        plan=trial.plan.steps,
        before=outcome_of(before).value,
        now=outcome_of(now).value,
        cause=_text(now.cause),
        **told,
    )


def _text(text: str) -> str:
    """What JSON can hold: lone surrogates are replaced."""
    return text.encode("utf-8", "replace").decode()


def _rate(tally: Tally, alpha: float) -> Rate:
    return Rate(
        n=tally.n,
        harmful=tally.harmful,
        unusable=tally.content,
        engaged=tally.engaged,
        rate=tally.harmful / tally.n if tally.n else 0.0,
        ci=confidence_sequence(tally.n, tally.harmful, alpha),
        transport=tally.transport,
        worst_rate=(tally.harmful + tally.content) / tally.answered if tally.answered else 0.0,
    )
