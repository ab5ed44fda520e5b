"""The shrinks of a finished run gone on with: more calls for its findings, and its report again.

The sweep is played back from its store and makes no call; its accounts and its verdict stand.
"""

import asyncio
import json
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzzer import registry, summary
from fuzzer.campaign import ENDING, ending_on_signals, publish
from fuzzer.errors import ConfigurationError, unknown
from fuzzer.evaluate import Evaluator
from fuzzer.exhibits import keep_scenarios
from fuzzer.graph import Catalogue
from fuzzer.judges import Held, Judge
from fuzzer.jury import noted
from fuzzer.limits import Limits
from fuzzer.minima import Shrunk, in_order
from fuzzer.minimising import Minimiser, called_to_shrink
from fuzzer.outlook import Counting, Progress
from fuzzer.people import with_review
from fuzzer.preparation import (
    choose_connections,
    choose_limits,
    held_by_rules,
    judging,
    price_of,
    rules_judge,
    with_timeout,
)
from fuzzer.prices import Price
from fuzzer.records import Report
from fuzzer.reviewing import KEPT, Over, play_back, tell
from fuzzer.scenario import Scenario
from fuzzer.store import RunStore
from fuzzer.subjects import Remembering, Subject, allow, close
from fuzzer.transform import Transform

#: Settings that say where a model is and how patiently it is asked, not what it does.
_REACHING = frozenset(("base_url", "max_retries", "trial_timeout"))
MORE = 200  # calls, beside those already made, where no budget is named
#: What going on may change of what a review keeps.
_SPENT = frozenset(("shrink_calls", "tokens", "cost_usd", "price", "stopped", "after_stop"))


@dataclass(frozen=True)
class Gone:
    """What came of going on: the run's report now, its findings, and what they were made of."""

    report: Report
    shrinks: list[Shrunk]
    over: Over


async def ashrink(
    run: Path | str,
    *,
    model: str | Subject | None = None,
    catalogue: Catalogue | Iterable[Transform] | None = None,
    seeds: Iterable[Scenario] = (),
    judge: Judge | None = None,
    shrink_budget: int | None = None,
    findings: Iterable[str] = (),
    settings: dict[str, Any] | None = None,
    max_connections: int | None = None,
    max_cost: float | None = None,
    max_tokens_total: int | None = None,
    deadline: float | None = None,
    trial_timeout: float | None = None,
    price: str | None = None,
    prices: Path | None = None,
    progress: Progress | None = None,
    graceful: bool = False,
) -> Gone:
    """Go on with the shrinks of a finished run, within `shrink_budget` calls to shrink in all.

    Without one, `MORE` than were made. `model` and `settings` are the run's own unless given, and
    must be the ones it was swept with; so must `judge`, `catalogue` and `seeds` (those of plug-ins
    and files). `findings` are ids: with the others nothing new is tried. The other options are as
    `asweep` takes them.

    Raises `HoldfastError` where the run has not ended, or is not what is installed or named now.
    """
    known = registry.find_catalogue() if catalogue is None else Catalogue.of(catalogue)
    judge = held_by_rules(judge or rules_judge())
    with RunStore.resume(run) as store:
        _same_judge(store, judge)
        over = play_back(store, known, seeds, judging(judge), referring=isinstance(judge, Held))
        only = _numbers(over, tuple(findings))
        subject, told = _subject(store, over, model, settings, trial_timeout)
        models = getattr(judge, "judges", ())
        limits = choose_limits(
            subject.name,
            price_of(subject, told, price, prices) or _paid_before(over),
            deadline=deadline,
            max_cost=max_cost,
            max_tokens_total=max_tokens_total,
            batch=False,
            judges=[one.name for one in models],
            prices=prices,
        )
        limits.spent = store.usage()
        now = {one.name for one in models}
        limits.judged = {n: u for n, u in store.usage_of_judges().items() if n in now}
        connections = choose_connections(max_connections, MORE, batch=False)
        for one in (subject, *models):
            allow(one, connections)
        evaluator = Evaluator(
            subject,
            judge,
            over.distribution,
            store,
            connections,
            limits=limits,
            trial_timeout=None if isinstance(subject, Remembering) else trial_timeout,
        )
        budget = called_to_shrink(store) + MORE if shrink_budget is None else shrink_budget
        minimiser = Minimiser(
            evaluator, over.rules, budget, lambda n: Counting(progress, n, "shrink"), only
        )
        try:
            with ending_on_signals(limits) if graceful else nullcontext():
                shrinks = in_order(await minimiser.shrink(over.decision))
        finally:
            await close(subject, judge)
        end = over.end.with_shrinks(shrinks)
        store.put(ENDING, end.model_dump(mode="json"))
        return Gone(_told(over, shrinks, limits), shrinks, over)


def shrink(run: Path | str, **options: Any) -> Gone:
    """`ashrink`, for callers without an event loop; the same options."""
    return asyncio.run(ashrink(run, **options))


def _told(over: Over, shrinks: list[Shrunk], limits: Limits) -> Report:
    """The run's report again, with what the shrinks have come to and what they cost."""
    store, before = over.store, over.before
    report = tell(over, shrinks)
    kept = {name: getattr(before, name) for name in KEPT if name not in _SPENT}
    kept["shrink_calls"] = called_to_shrink(store)
    report = summary.priced(noted(report.model_copy(update=kept)), store, limits)
    report = with_review(summary.stopped_early(report, over.end.early), store)
    keep_scenarios(report, over.distribution, store)
    return publish(report, store)


def _paid_before(over: Over) -> Price | None:
    """The price that the sweep was told, where this command was told none."""
    return None if over.before.price is None else Price.model_validate(over.before.price)


def _same_judge(store: RunStore, judge: Judge) -> None:
    """Refuse another judge than the one that the run's claim names."""
    swept = store.claim.get("judge") or {}
    was, now = (swept.get("name"), swept.get("version")), (judge.name, judge.version)
    if was != now:
        raise ConfigurationError(
            f"the run in {str(store.directory)!r} was judged by {was[0]} (version {was[1]}), not "
            f"by {now[0]} (version {now[1]}); name the same judge, with the same options"
        )
    claim = json.loads(json.dumps(getattr(judge, "claim", {})))  # as the store has it
    if changed := sorted(key for key in claim if claim[key] != swept.get(key, claim[key])):
        raise ConfigurationError(
            f"the run in {str(store.directory)!r} was judged by {was[0]} with other options "
            f"({', '.join(changed)}); name the same judge, with the same options"
        )


def _numbers(over: Over, findings: tuple[str, ...]) -> list[int] | None:
    """The episodes of these findings; None for all of them."""
    known = {f"F{e.number}": e.number for e in over.decision.episodes if e.supported or e.seen}
    for name in findings:
        if name not in known:
            raise ConfigurationError(unknown("finding", name, known))
    return [known[name] for name in findings] or None


def _subject(
    store: RunStore,
    over: Over,
    model: str | Subject | None,
    settings: dict[str, Any] | None,
    trial_timeout: float | None,
) -> tuple[Subject, dict[str, Any]]:
    """The run's own subject, and its settings; `ConfigurationError` for another one."""
    swept: dict[str, Any] = store.claim.get("settings") or {}
    for name, value in (settings or {}).items():
        if name not in _REACHING and swept.get(name, ...) != value:
            was = f"{name}={swept[name]!r}" if name in swept else f"no {name} of its own"
            raise ConfigurationError(
                f"the run in {str(store.directory)!r} was swept with {was}, not with "
                f"{name}={value!r}; leave it out: a finding is of one model with one set of "
                "settings"
            )
    told = with_timeout(over.before.model, swept | (settings or {}), trial_timeout)
    scenarios = tuple(over.distribution.scenarios.values())
    named = over.before.model if model is None else model
    try:
        found = registry.find_subject(named, scenarios, **told) if isinstance(named, str) else named
    except ConfigurationError as error:
        if model is not None or "/" in over.before.model or ":" in over.before.model:
            raise
        raise ConfigurationError(
            f"the run in {str(store.directory)!r} is of {named!r}, which does not say where it "
            "is; name it as it was swept, --model path/to/file.py:NAME"
        ) from error
    if found.name != over.before.model:
        raise ConfigurationError(
            f"the run in {str(store.directory)!r} is of {over.before.model!r}, not of "
            f"{found.name!r}; findings are another model's own"
        )
    return found, told
