"""A sweep from seeds to verdict: the whole story in one function, `asweep`."""

import asyncio
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from typing import Any

from pydantic import ValidationError

from fuzzer import registry, summary
from fuzzer.decision import Episode, Rules, index_lag
from fuzzer.distribution import VERSION as DISTRIBUTION_VERSION
from fuzzer.distribution import Distribution, NothingToDraw, Pools
from fuzzer.errors import ConfigurationError, HoldfastError, SeedError
from fuzzer.evaluate import Evaluator
from fuzzer.graph import Catalogue
from fuzzer.judges import Judge
from fuzzer.proposal import Outcome, Proposal
from fuzzer.records import Report, Status, Verdict
from fuzzer.scenario import Scenario
from fuzzer.search import Search
from fuzzer.shrink import ShrinkConfig, Shrinker, ShrinkResult
from fuzzer.store import RunStore
from fuzzer.subjects import Subject
from fuzzer.transcript import Transcript
from fuzzer.transform import Plan, Transform
from fuzzer.variant import Judging, Variant, settle

SHRINK_EPOCHS = 10_000  # a shrink's calls start here: never an epoch that a search has used
MAX_CONNECTIONS = 10
Progress = Callable[[Status], None]


async def asweep(
    model: str | Subject,
    seeds: Iterable[Scenario | str] | None = None,
    *,
    catalogue: Catalogue | Iterable[Transform] | None = None,
    judge: Judge | None = None,
    budget: int = 1000,
    threshold: float = 0.01,
    alpha: float = 0.05,
    seed: int = 0,
    stop: str = "first",
    shrink_budget: int = 200,
    max_connections: int = MAX_CONNECTIONS,
    out: Path | str | None = None,
    resume: bool = False,
    settings: dict[str, Any] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Does the model's score hold when only the surface changes?

    `model` is a `Subject` or what ``--model`` takes; `seeds` are scenarios or names (default: all
    but benign twins); `seed` is the random seed; `out` the run directory (default
    ``runs/<time>-<model>``). The same arguments repeat the same report up to its times.

    Raises `HoldfastError` for what the user can mend; whatever the subject does is a verdict.
    """
    started, clock = datetime.now(UTC), monotonic()
    if max_connections < 1:
        raise ConfigurationError(f"max_connections = {max_connections} is not possible; at least 1")
    scenarios = _scenarios(seeds)
    subject = (
        registry.find_subject(model, scenarios, **(settings or {}))
        if isinstance(model, str)
        else model
    )
    judge = judge or _rules_judge()
    known = registry.find_catalogue() if catalogue is None else Catalogue.of(catalogue)
    distribution = Distribution(
        known,
        scenarios,
        _pools(known, scenarios),
        judging(judge),
        random_seed=seed,
        judged_by=f"{judge.name} {judge.version}",
    )
    rules = _rules(threshold, alpha, budget, stop, index_lag(max_connections, budget))
    directory = Path(out) if out is not None else default_directory(subject.name, started)
    _check_seeds(distribution)
    _try_each_alone(distribution)

    with _opened(directory, rules, subject, judge, distribution, settings, resume) as store:
        rules = rules.model_copy(update={"lag": store.claim["rules"]["lag"]})
        search = Search(rules, distribution)
        evaluator = Evaluator(subject, judge, distribution, store, max_connections)
        shrinks: list[tuple[Episode, ShrinkResult | None]] = []
        nothing_to_draw = ""
        try:
            await evaluator.drive(search, "sweep", _counting(progress, budget))
            shrinks = [
                shrunk async for shrunk in _shrink_each(search, evaluator, shrink_budget, progress)
            ]
        except NothingToDraw as error:
            nothing_to_draw = str(error)
        finally:
            if (close := getattr(subject, "close", None)) is not None:
                await close()
        if search.done and (last := search.result().deciding_index) is not None:
            store.mark_after_stop(last)
        report = summary.report(
            decision=search.result(),
            rules=rules,
            distribution=distribution,
            judge=judge,
            model=subject.name,
            rows=store.rows,
            shrinks=shrinks,
            nothing_to_draw=nothing_to_draw,
        )
        report = report.model_copy(
            update={
                "timing": summary.timing(started, datetime.now(UTC), monotonic() - clock),
                "versions": versions(),
                "cost_usd": 0.0 if getattr(subject, "free", False) else None,
            }
        )
        for write in registry.find_reporters():
            report = write(report, directory, summary.examples(report, store.rows, store.trial))
        store.finish(report)
    return report


def sweep(
    model: str | Subject, seeds: Iterable[Scenario | str] | None = None, **options: Any
) -> Report:
    """`asweep`, for callers without an event loop; the same options."""
    return asyncio.run(asweep(model, seeds, **options))


# --------------------------------------------------------------------------------- what is used


def _scenarios(seeds: Iterable[Scenario | str] | None) -> tuple[Scenario, ...]:
    if seeds is None:
        return registry.default_seeds()
    given = (seeds,) if isinstance(seeds, str | Scenario) else seeds
    found = tuple(registry.find_seed(s) if isinstance(s, str) else s for s in given)
    names = [scenario.name for scenario in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SeedError(f"seeds given twice: {', '.join(twice)}; name each once")
    if not found:
        raise ConfigurationError("no seeds to sweep; name at least one, or none for all")
    return found


def _rules_judge() -> Judge:
    from fuzzer.judges.rules import RulesJudge

    return RulesJudge()


def judging(judge: Judge) -> Judging:
    """A judge as admission needs it: at once. One that must wait is stood in for by the rules."""
    from fuzzer.judges.rules import RulesJudge

    if type(judge) is RulesJudge:  # not a subclass: what will judge the trials must be held to them
        return judge.decide
    rules = RulesJudge()

    def decide(variant: Variant, transcript: Transcript) -> Verdict:
        try:
            verdict = settle(judge.judge(variant, transcript))
        except HoldfastError:
            raise
        except Exception as error:  # as at a trial: a judge that breaks has judged nothing
            return Verdict(value="unusable", cause=f"the judge raised {type(error).__name__}")
        return rules.decide(variant, transcript) if verdict is None else verdict

    return decide


def _pools(catalogue: Catalogue, seeds: tuple[Scenario, ...]) -> Pools:
    """The committed pools, also of transforms picked by hand; without one, a pool filled now."""
    from fuzzer.strategies import SURFACE, fill_pool

    installed = registry.find_catalogue()
    committed = {
        t.name: installed.pools.get(t.name) for t in installed if t in catalogue.transforms
    }
    return {
        t.name: catalogue.pools.get(t.name) or committed.get(t.name) or fill_pool(t, seeds)
        for t in catalogue
        if t.relation in SURFACE
    }


def _rules(threshold: float, alpha: float, budget: int, stop: str, lag: int) -> Rules:
    try:
        return Rules.model_validate(
            {"threshold": threshold, "alpha": alpha, "budget": budget, "stop": stop, "lag": lag}
        )
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "rules"
        raise ConfigurationError(
            f"{name} = {first.get('input')!r} is not possible: {first['msg']}"
        ) from None


def default_directory(model: str, started: datetime) -> Path:
    """``runs/<time>-<model>``, the model's name reduced to what a path may hold."""
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", model).strip("-.")[:60] or "model"
    return Path("runs") / f"{started:%Y%m%dT%H%M%S}-{plain}"


def _opened(
    directory: Path,
    rules: Rules,
    subject: Subject,
    judge: Judge,
    distribution: Distribution,
    settings: dict[str, Any] | None,
    resume: bool,
) -> RunStore:
    """The run on disk. Its claim is everything but the budget, which a resume may raise."""
    claim: dict[str, Any] = {
        "model": subject.name,
        "settings": settings or {},
        "rules": rules.model_dump(mode="json", exclude={"budget"}),
        "judge": {"name": judge.name, "version": judge.version},
        "seeds": {s.name: s.content_hash for s in distribution.scenarios.values()},
        "distribution": {"version": DISTRIBUTION_VERSION, "hash": distribution.hash},
        "random_seed": distribution.random_seed,
    }
    if not resume:
        pools = {name: [step.params for step in pool] for name, pool in distribution.pools.items()}
        return RunStore.create(directory, claim, pools)
    with RunStore.read(directory) as before:
        # The lag belongs to the claim, not to how many connections this machine can open.
        claim["rules"]["lag"] = before.claim.get("rules", {}).get("lag", rules.lag)
    return RunStore.resume(directory, claim)


def versions() -> dict[str, str]:
    """What a reader needs to run this again."""
    names = ("holdfast", "hypothesis", "anthropic", "faker", "pydantic")
    return {name: version(name) for name in names}


# ------------------------------------------------------------------------------ before any call


def _check_seeds(distribution: Distribution) -> None:
    for name in distribution.seeds:
        if not distribution.admissible(name, Plan(seed=name)):
            reason = distribution.blind[name, Plan(seed=name)].reason
            raise SeedError(
                f"seed {name!r} cannot be judged even unchanged: {reason}; mend the seed"
            )


def _try_each_alone(distribution: Distribution) -> None:
    """Hold every transform, alone and at its defaults, to the controls of every seed."""
    for name, scenario in distribution.scenarios.items():
        for transform in distribution.catalogue:
            if transform.name in distribution.pools and transform.applicable(scenario):
                plan = Plan(seed=name, steps=distribution.pools[transform.name][:1])
                distribution.admissible(name, plan)


def _counting(progress: Progress | None, total: int, phase: str = "") -> Any:
    """Counts what is told, and shows it."""
    counts = {"done": 0, "n": 0, "harmful": 0, "unusable": 0}

    def told(proposal: Proposal, verdict: Verdict) -> None:  # noqa: ARG001 - one signature
        counts["done"] += 1
        counts["harmful"] += verdict.value == "harmful"
        usable = verdict.value in ("harmful", "safe")
        counts["n" if usable else "unusable"] += 1
        if progress is not None:
            progress(Status(total=total, phase=phase, **counts))

    return told


# ------------------------------------------------------------------------------------ shrinking


class _ShrinkCalls:
    """A shrink as something to drive: subsets of a failing plan as proposals."""

    def __init__(
        self, shrinker: Shrinker, episode: Episode, distribution: Distribution, number: int
    ) -> None:
        self._shrinker = shrinker
        self._episode = episode
        self._distribution = distribution
        self._first_epoch = SHRINK_EPOCHS * number

    @property
    def done(self) -> bool:
        return self._shrinker.done

    def ask(self, n: int) -> list[Proposal]:
        proposals: list[Proposal] = []
        # Blind subsets are answered at once: nothing to call must not look like nothing to ask.
        while not proposals and (wanted := self._shrinker.ask(n)):
            for asked in wanted:
                plan = self._episode.plan.keep(asked.keep)
                if not self._distribution.admissible(self._episode.seed, plan):
                    self._shrinker.tell(asked.index, "blind")
                    continue
                variant = self._distribution.variant(self._episode.seed, plan)
                proposals.append(
                    Proposal(
                        index=asked.index,
                        seed=self._episode.seed,
                        plan=plan,
                        stratum="shrink",
                        account=f"shrink:{asked.purpose}",
                        epoch=self._first_epoch + asked.epoch,
                        distance=variant.distance,
                    )
                )
        return proposals

    def tell(self, index: int, outcome: Outcome) -> None:
        self._shrinker.tell(index, outcome.value)


async def _shrink_each(
    search: Search, evaluator: Evaluator, budget: int, progress: Progress | None
) -> Any:
    """Each supported finding with its shrink; one that an earlier minimum explains is left out."""
    rules = search.rules
    minima: list[tuple[str, frozenset[bytes]]] = []
    for episode in search.result().episodes:
        keys = frozenset(step.key for step in episode.plan.steps)
        explained = any(seed == episode.seed and smaller <= keys for seed, smaller in minima)
        if not episode.supported or explained:
            continue
        if budget <= 0:
            yield episode, None
            continue
        shrinker = Shrinker(
            ShrinkConfig(threshold=rules.threshold, alpha=rules.alpha, budget=budget),
            [step.key for step in episode.plan.steps],
            episode.harmful,
            episode.replays,
        )
        calls = _ShrinkCalls(shrinker, episode, evaluator.distribution, episode.number)
        phase = f"shrink:{episode.number}"
        await evaluator.drive(calls, phase, _counting(progress, budget, "shrink"))
        result = shrinker.result()
        budget -= result.calls_search + result.calls_certificate
        minima.append((episode.seed, frozenset(episode.plan.steps[i].key for i in result.keep)))
        yield episode, result
