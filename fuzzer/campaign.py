"""A sweep from seeds to verdict: the whole story in one function, `asweep`."""

import asyncio
import gc
import re
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

from pydantic import Field

from fuzzer import registry, summary
from fuzzer.augment.split import Split
from fuzzer.calibration import Calibration
from fuzzer.condense import CondenseResult
from fuzzer.contrast import with_contrast
from fuzzer.decision import Episode, Rules, index_lag
from fuzzer.deployment import QUERIES, check_queries, with_deployment
from fuzzer.distribution import VERSION as DISTRIBUTION_VERSION
from fuzzer.distribution import Distribution, NothingToDraw
from fuzzer.elicitation import Control, choose_control, with_elicitation
from fuzzer.errors import ConfigurationError
from fuzzer.evaluate import Evaluator, held_used
from fuzzer.exhibits import keep_scenarios, material
from fuzzer.exposure import choose_ground, with_exposure
from fuzzer.graph import Catalogue
from fuzzer.holding import TRUST, Trust, hold, without
from fuzzer.judges import Held, Judge
from fuzzer.jury import with_jury
from fuzzer.limits import Limits
from fuzzer.minima import Shrunk, in_order
from fuzzer.minimising import Minimiser
from fuzzer.outlook import Counting, Progress, Watch
from fuzzer.people import with_review
from fuzzer.preparation import (
    check_seeds,
    choose_calibration,
    choose_connections,
    choose_limits,
    choose_pools,
    choose_rules,
    choose_seeds,
    held_by_rules,
    judging,
    price_of,
    rules_judge,
    try_each_alone,
    with_timeout,
)
from fuzzer.records import Report
from fuzzer.scenario import Frozen, Scenario
from fuzzer.search import Search
from fuzzer.shrink import ShrinkResult
from fuzzer.store import RunStore
from fuzzer.subjects import Remembering, Subject, allow, close
from fuzzer.transform import Transform
from fuzzer.twins import PHASE as TWINS
from fuzzer.twins import TwinCalls, twins_of, with_twins
from fuzzer.values import ValueResult

MAX_CONNECTIONS = 10


async def asweep(
    model: str | Subject,
    seeds: Iterable[Scenario | str] | None = None,
    *,
    catalogue: Catalogue | Iterable[Transform] | None = None,
    judge: Judge | None = None,
    calibration: Calibration | Path | None = None,
    budget: int = 1000,
    threshold: float = 0.01,
    alpha: float = 0.05,
    seed: int = 0,
    stop: str = "first",
    epochs: int = 1,
    shrink_budget: int = 200,
    twins: int = 0,
    deployment: int | None = None,
    held_out: Split | Path | None = None,
    trained_on: Iterable[Split | Path] = (),
    control: Path | str | None = None,
    max_connections: int | None = None,
    max_cost: float | None = None,
    max_tokens_total: int | None = None,
    deadline: float | None = None,
    trial_timeout: float | None = None,
    price: str | None = None,
    prices: Path | None = None,
    batch: bool = False,
    out: Path | str | None = None,
    resume: bool = False,
    settings: dict[str, Any] | None = None,
    progress: Progress | None = None,
    graceful: bool = False,
) -> Report:
    """Does the model's score hold when only the surface changes?

    `model` is a `Subject` or what ``--model`` takes; `seeds` are scenarios or names (default: all
    but benign twins); `seed` is the random seed; `out` the run directory (default
    ``runs/<time>-<model>``). The same arguments repeat the same report up to its times.

    `judge` is the rules unless given (`fuzzer.preparation.choose_judge`); with a `calibration` of
    it the claims bear its errors, and rates stand corrected beside the plain ones.

    With the manifest of a split as `held_out` only what it keeps from every export is swept; the
    manifests of `trained_on` say under which exports the model was trained, and then *holds* needs
    that nothing swept was in them (`fuzzer.exposure`).

    With `epochs` above 1 each draw from D is called so often: the calls after the first describe
    their variant (`fuzzer.comparison`, `fuzzer.deployment`) and enter no account and no rate.

    `control` is the directory of a finished sweep of a susceptible model over the same D, made with
    the same seeds, random seed and judge: what verifies that these variants still tempt, and
    without which no seed or family that stopped tempting is noticed (`fuzzer.elicitation`).

    `max_cost` (dollars), `max_tokens_total` and `deadline` (seconds) end a run early: nothing more
    is launched, the report says so, and a resume goes on. `price` and `prices` are as `find_price`
    takes them; `trial_timeout` is in seconds. `twins` more calls go to benign twins of the seeds,
    beside the budget and in no evidence. With `deployment` the report forecasts the worst of so
    many queries (`fuzzer.deployment`). With `batch` the calls go through the provider's
    batches, all that the search allows at once. With `graceful`, SIGINT and SIGTERM end the run as
    a deadline does.

    Raises `HoldfastError` for what the user can mend; whatever the subject does is a verdict.
    """
    started, clock = datetime.now(UTC), monotonic()
    if deployment is not None:
        check_queries(deployment)
    connections = choose_connections(max_connections, budget, batch)
    scenarios = choose_seeds(seeds)
    settings = with_timeout(model, settings or {}, trial_timeout)
    subject = (
        registry.find_subject(model, scenarios, **settings) if isinstance(model, str) else model
    )
    judge = held_by_rules(judge or rules_judge())
    models = getattr(judge, "judges", ())
    limits = choose_limits(
        subject.name,
        price_of(subject, settings, price, prices),
        deadline=deadline,
        max_cost=max_cost,
        max_tokens_total=max_tokens_total,
        batch=batch,
        judges=[model.name for model in models],
        prices=prices,
    )
    known = registry.find_catalogue() if catalogue is None else Catalogue.of(catalogue)
    ground = choose_ground(
        scenarios, known, held_out=held_out, trained_on=trained_on, named=seeds is not None
    )
    scenarios, known = ground.seeds, ground.catalogue
    calibration = choose_calibration(calibration, judge)
    lag = index_lag(connections, budget)
    rules = choose_rules(threshold, alpha, budget, stop, lag, calibration, epochs)
    directory = Path(out) if out is not None else default_directory(subject.name, started)
    judged_by = _judged_by(judge, calibration)
    against = None
    if control is not None:
        against = choose_control(
            control,
            known,
            scenarios,
            model=subject.name,
            settings=settings,
            judge=judged_by,
            random_seed=seed,
        )
    for one in models:
        allow(one, connections)
    if models and not resume:
        RunStore.must_be_free(directory)  # before a judge is held to anything, which is paid for
    try:
        distribution, trust = await _held_to(
            judge, known, scenarios, seed, directory if resume else None, against
        )
    except BaseException:
        await close(subject, judge)
        raise

    claimed = ground.claim | (against.claim if against else {})
    with _opened(
        directory, rules, subject, judged_by, distribution, settings, claimed, resume
    ) as store:
        rules = rules.model_copy(update={"lag": store.claim["rules"]["lag"]})
        search = Search(rules, distribution)
        ground.keep(store)
        if against is not None:
            against.keep(store)
        if deployment is not None:  # no part of the claim: a resume may look further ahead
            store.put(QUERIES, deployment)
        store.put(TRUST, trust.model_dump(mode="json"))
        store.put(CALIBRATION, calibration.model_dump(mode="json") if calibration else None)
        judging_now = {model.name for model in models}  # others may have judged it again since
        limits.spent = store.usage()
        limits.judged = {n: u for n, u in store.usage_of_judges().items() if n in judging_now}
        for paid in (trust.used, held_used(store)):
            for name, used in paid.items():
                limits.spend_judging(name, used)
        _prepare(subject, store, connections, batch)
        evaluator = Evaluator(
            subject,
            judge,
            distribution,
            store,
            connections,
            limits=limits,
            trial_timeout=None if isinstance(subject, Remembering) else trial_timeout,
        )
        shrinks: list[Shrunk] = []
        nothing_to_draw = ""
        twin_seeds: tuple[str, ...] = ()
        asyncio.get_running_loop().run_in_executor(None, _import_early)
        try:
            with ending_on_signals(limits) if graceful else nullcontext(), _collecting_seldom():
                watch = Watch(search, distribution, limits)
                counting = Counting(progress, budget, watch=watch)
                await evaluator.drive(search, "sweep", counting)
                counting.last()
                minimiser = Minimiser(
                    evaluator,
                    rules,
                    shrink_budget,
                    lambda n: Counting(progress, n, "shrink", watch),
                )
                shrinks = await minimiser.shrink(search.result())
                twin_seeds = await _call_twins(evaluator, twins, progress, watch)
        except NothingToDraw as error:
            nothing_to_draw = str(error)
        except ConfigurationError:
            store.discard()  # if nothing was answered: the same command can then be given again
            raise
        finally:
            await close(subject, judge)
        if search.done and (last := search.result().deciding_index) is not None:
            store.mark_after_stop(last)
        search.end()
        shrinks = in_order(shrinks)
        ending = Ending(nothing_to_draw=nothing_to_draw, early=limits.reason).with_shrinks(shrinks)
        store.put(ENDING, ending.model_dump(mode="json"))
        report = summary.report(
            decision=search.result(),
            rules=rules,
            distribution=distribution,
            judge=judge,
            model=subject.name,
            rows=store.rows,
            shrinks=shrinks,
            nothing_to_draw=nothing_to_draw,
            calibration=calibration,
        )
        report = with_twins(report, store.rows(TWINS), twin_seeds, alpha)
        report = summary.priced(report, store, limits)
        report = with_jury(
            report, judge, store, limits, trust.left_out, search.result().deciding_index
        )
        report = with_review(report, store)
        report = report.model_copy(
            update={
                "timing": summary.timing(started, datetime.now(UTC), monotonic() - clock),
                "versions": versions(),
            }
        )
        keep_scenarios(report, distribution, store)
        return publish(report, store)


def sweep(
    model: str | Subject, seeds: Iterable[Scenario | str] | None = None, **options: Any
) -> Report:
    """`asweep`, for callers without an event loop; the same options."""
    return asyncio.run(asweep(model, seeds, **options))


# ------------------------------------------------------------------------------ around the run


async def _held_to(
    judge: Judge,
    known: Catalogue,
    scenarios: tuple[Scenario, ...],
    random_seed: int,
    resumed: Path | None,
    against: Control | None = None,
) -> tuple[Distribution, Trust]:
    """D, with what its judge can be trusted on: every seed and transform was held to the controls.

    Raises `HoldfastError` when a seed cannot be judged even unchanged, and where a control run was
    swept `against` another D: before anything is paid for, if its judge failed on the same.
    """

    def over(catalogue: Catalogue) -> Distribution:
        return Distribution(
            catalogue,
            scenarios,
            choose_pools(catalogue, scenarios),
            judging(judge),
            random_seed=random_seed,
            judged_by=f"{judge.name} {judge.version}",
            referring=isinstance(judge, Held),
        )

    distribution = over(known)
    if against is not None:
        left_out = against.trust.left_out
        against.must_be_of(over(without(known, left_out)) if left_out else distribution)
    check_seeds(distribution)
    try_each_alone(distribution, judge)
    if not isinstance(judge, Held):
        return distribution, Trust()
    if resumed is not None:  # it was paid for, and D rests on it
        with RunStore.read(resumed) as before:
            trust = Trust.model_validate(before.get(TRUST) or {})
        for model in getattr(judge, "judges", ()):
            model.answered = True  # its controls: what it rejects now is one request
    else:
        trust = await hold(judge, distribution)
    if trust.left_out:
        distribution = over(without(known, trust.left_out))
    if against is not None:
        against.must_be_of(distribution)
    return distribution, trust


def _prepare(subject: Subject, store: RunStore, connections: int, batch: bool) -> None:
    """Tell a subject how many calls may fly, and how they travel."""
    allow(subject, connections)
    if batch:
        use = getattr(subject, "use_batches", None)
        if use is None:
            raise ConfigurationError(
                f"{subject.name!r} has no batches; --batch needs anthropic/MODEL"
            )
        use(store)


def _import_early() -> None:
    """What a report needs and is slow to import: while calls are made, not when somebody waits."""
    import numpy  # noqa: F401
    import scipy.special  # noqa: F401


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    """Python's cycle collector looks seldom: a run makes many small values, and few cycles.

    At its usual pace it takes a tenth of the run's time. Who set a slower pace, or none, keeps it.
    """
    before = gc.get_threshold()
    if 0 < before[0] < _SELDOM:
        gc.set_threshold(_SELDOM, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


_SELDOM = 21_000  # objects made and not yet freed before it looks; Python's own number is 700


@contextmanager
def ending_on_signals(limits: Limits) -> Iterator[None]:
    """The first SIGINT or SIGTERM ends the run as a limit does; a second one kills as ever."""
    loop = asyncio.get_running_loop()
    caught = (signal.SIGINT, signal.SIGTERM)

    def release() -> None:
        for number in caught:
            loop.remove_signal_handler(number)

    def end() -> None:
        release()
        limits.interrupt()

    for number in caught:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        release()


class Ending(Frozen):
    """What a run's end adds to its trials: with these its report can be made again."""

    nothing_to_draw: str = ""
    early: str = ""  # why it stopped before its budget
    shrinks: dict[int, ShrinkResult] = Field(default_factory=dict)  # by episode
    values: dict[int, ValueResult] = Field(default_factory=dict)
    texts: dict[int, CondenseResult] = Field(default_factory=dict)

    def with_shrinks(self, shrinks: Iterable[Shrunk]) -> "Ending":
        """The same end, with these shrinks."""
        by_number = {each.episode.number: each for each in shrinks}
        return self.model_copy(
            update={
                "shrinks": {n: each.plan for n, each in by_number.items() if each.plan},
                "values": {n: each.values for n, each in by_number.items() if each.values},
                "texts": {n: each.text for n, each in by_number.items() if each.text},
            }
        )

    def shrunk(self, episode: Episode) -> Shrunk:
        """What a finding's shrink had come to."""
        number = episode.number
        return Shrunk(
            episode, self.shrinks.get(number), self.values.get(number), self.texts.get(number)
        )


ENDING = "ending"  # its key in the store
CALIBRATION = "calibration"  # the key of the calibration that the claim rests on


def publish(report: Report, store: RunStore) -> Report:
    """Write a report into its run, by every installed reporter; the report as they wrote it.

    Every report passes here, made by a sweep or again from its store: so what its run exposed is
    told here, and what its control shows, and *holds* taken back where it needs to be.
    """
    for told_by in (with_exposure, with_elicitation, with_contrast, with_deployment):
        report = told_by(report, store)
    for write in registry.find_reporters():
        report = write(report, store.directory, material(report, store))
    store.finish(report)
    return report


def default_directory(model: str, started: datetime) -> Path:
    """``runs/<time>-<model>``, the model's name reduced to what a path may hold."""
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", model).strip("-.")[:60] or "model"
    return Path("runs") / f"{started:%Y%m%dT%H%M%S}-{plain}"


def _opened(
    directory: Path,
    rules: Rules,
    subject: Subject,
    judged_by: dict[str, Any],
    distribution: Distribution,
    settings: dict[str, Any],
    claimed: dict[str, Any],
    resume: bool,
) -> RunStore:
    """The run on disk. Its claim is everything but the budget, which a resume may raise."""
    claim: dict[str, Any] = {
        "model": subject.name,
        "settings": settings,
        "rules": rules.model_dump(mode="json", exclude={"budget"}),
        "judge": judged_by,
        "seeds": {s.name: s.content_hash for s in distribution.scenarios.values()},
        "distribution": {"version": DISTRIBUTION_VERSION, "hash": distribution.hash},
        "random_seed": distribution.random_seed,
        **claimed,
    }
    if not resume:
        pools = {name: [step.params for step in pool] for name, pool in distribution.pools.items()}
        return RunStore.create(directory, claim, pools)
    with RunStore.read(directory) as before:
        # The lag belongs to the claim, not to how many connections this machine can open.
        claim["rules"]["lag"] = before.claim.get("rules", {}).get("lag", rules.lag)
    return RunStore.resume(directory, claim)


def _judged_by(judge: Judge, calibration: Calibration | None) -> dict[str, Any]:
    """What a run's claim says of its judge."""
    told: dict[str, Any] = {"name": judge.name, "version": judge.version}
    told |= getattr(judge, "claim", {})
    if calibration is not None:
        told["calibration"] = calibration.hash
    return told


def versions() -> dict[str, str]:
    """What a reader needs to run this again."""
    names = ("holdfast", "hypothesis", "anthropic", "faker", "pydantic")
    return {name: version(name) for name in names}


async def _call_twins(
    evaluator: Evaluator, calls: int, progress: Progress | None, watch: Watch
) -> tuple[str, ...]:
    """Calls on the benign twins of the seeds swept; the names of the twins called."""
    swept = evaluator.distribution
    found = twins_of(swept.seeds, registry.find_seeds()) if calls > 0 else ()
    if not found:
        return ()
    distribution = swept.of_seeds(found)
    check_seeds(distribution)
    asking = TwinCalls(distribution, calls)
    counting = Counting(progress, calls, TWINS, watch)
    await evaluator.on(distribution).drive(asking, TWINS, counting)
    return distribution.seeds
