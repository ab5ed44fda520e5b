"""What a run is made of: seeds, judge, pools, rules and limits, each checked before any call."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fuzzer import registry
from fuzzer.calibration import Calibration, fits, load, rules_bounds
from fuzzer.decision import Rules
from fuzzer.distribution import Distribution
from fuzzer.errors import ConfigurationError, HoldfastError, SeedError
from fuzzer.graph import Catalogue
from fuzzer.judges import Judge
from fuzzer.limits import Limits
from fuzzer.outline import Pools
from fuzzer.prices import FREE, Price, find_price
from fuzzer.records import Verdict
from fuzzer.scenario import Scenario
from fuzzer.subjects import Subject
from fuzzer.transcript import Transcript
from fuzzer.transform import Plan
from fuzzer.variant import Judging, Variant, settle

MAX_CONNECTIONS = 10
RATED = 0.1  # share of what the rules call safe that model judges are asked about all the same
TRIED_ON = 3  # seeds on which each transform is tried alone before a run


def choose_seeds(seeds: Iterable[Scenario | str] | None) -> tuple[Scenario, ...]:
    """The scenarios named or given, each once; all but benign twins where none is."""
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


def choose_connections(given: int | None, budget: int, batch: bool) -> int:
    """Trials in flight: batches wait for hours, so that all there may be go together."""
    if given is None:
        return budget if batch else MAX_CONNECTIONS
    if given < 1:
        raise ConfigurationError(f"max_connections = {given} is not possible; at least 1")
    return given


def with_timeout(
    model: str | Subject, settings: dict[str, Any], trial_timeout: float | None
) -> dict[str, Any]:
    """A subject of ours ends its trials itself, and keeps what was done until then."""
    if trial_timeout is None:
        return settings
    if not 0 < trial_timeout < float("inf"):
        raise ConfigurationError(f"trial_timeout = {trial_timeout} is not possible; give seconds")
    ours = isinstance(model, str) and registry.takes_settings(model)
    return {**settings, "trial_timeout": trial_timeout} if ours else settings


def price_of(
    subject: Subject, settings: dict[str, Any], price: str | None, prices: Path | None
) -> Price | None:
    """What a subject's tokens cost. A table is of providers: a name on another server is not it."""
    if settings.get("base_url") and price is None and prices is None:
        return None
    found = find_price(subject.name, price, prices)
    return FREE if found is None and getattr(subject, "free", False) else found


def choose_limits(
    model: str,
    price: Price | None,
    *,
    deadline: float | None,
    max_cost: float | None,
    max_tokens_total: int | None,
    batch: bool,
    judges: Sequence[str] = (),
    prices: Path | None = None,
) -> Limits:
    """What may end the run early; `judges` are the models that judge, which cost something too."""
    judge_prices = {name: found for name in judges if (found := find_price(name, None, prices))}
    for name, value in (
        ("deadline", deadline),
        ("max_cost", max_cost),
        ("max_tokens_total", max_tokens_total),
    ):
        if value is not None and not 0 < value < float("inf"):
            raise ConfigurationError(f"{name} = {value} is not possible; give a number above 0")
    if max_cost is not None and price is None:
        raise ConfigurationError(
            f"no price is known for {model!r}, so --max-cost cannot be kept; give --price "
            "in=DOLLARS,out=DOLLARS (per million tokens), or use --max-tokens-total"
        )
    if max_cost is not None and (unpriced := set(judges) - judge_prices.keys()):
        raise ConfigurationError(
            f"no price is known for the judge {min(unpriced)!r}, so --max-cost cannot be kept; "
            "name its price in a table given with --prices, or use --max-tokens-total"
        )
    return Limits(
        deadline=deadline,
        max_cost=max_cost,
        max_tokens=max_tokens_total,
        price=price,
        batch=batch,
        judge_prices=judge_prices,
    )


def rules_judge() -> Judge:
    """The judge of a run that names none."""
    from fuzzer.judges.rules import RulesJudge

    return RulesJudge()


def _is_rules(judge: Judge) -> bool:
    from fuzzer.judges.rules import RulesJudge

    return type(judge) is RulesJudge  # not a subclass: that may judge otherwise


def _released_with() -> frozenset[str]:
    """The content of every seed that this Holdfast was released with."""
    return frozenset(
        h for versions in registry.released_seeds().values() for h in versions.values()
    )


def choose_judge(
    model: str | None,
    second: str | None = None,
    *,
    votes: int = 1,
    sample: float = RATED,
    audit: float = 0.0,
    settings: dict[str, Any] | None = None,
) -> Judge:
    """The rules, or a panel of the rules and one or two models; settings are of both models."""
    if model is None:
        if second is not None:
            raise ConfigurationError("--second-judge needs a first one: give --judge-model too")
        return rules_judge()
    from fuzzer.judges.model import ModelJudge
    from fuzzer.judges.panel import Panel

    told = settings or {}
    found = [
        ModelJudge(registry.find_subject(name, (), **told), votes=votes, settings=told)
        for name in filter(None, (model, second))
    ]
    return Panel(found, rated=sample, audit=audit)


def held_by_rules(judge: Judge) -> Judge:
    """The judge of a run: a bare model judge gets the rules before it, and is held to controls."""
    if not getattr(judge, "waits", False):
        return judge
    from fuzzer.judges.model import ModelJudge
    from fuzzer.judges.panel import Panel

    return Panel([judge]) if isinstance(judge, ModelJudge) else judge


def judging(judge: Judge) -> Judging:
    """A judge as admission needs it: at once. One that must wait is stood in for by the rules."""
    from fuzzer.judges.rules import RulesJudge

    if getattr(judge, "waits", False):  # held to the controls itself, on a sample
        return RulesJudge().decide
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


def choose_pools(catalogue: Catalogue, seeds: tuple[Scenario, ...]) -> Pools:
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


def choose_calibration(given: Calibration | Path | None, judge: Judge) -> Calibration | None:
    """The calibration of a run's judge; `ConfigurationError` when it is another judge's."""
    if given is None:
        return None
    found = load(given) if isinstance(given, Path) else given
    fits(found, judge)
    return found


def choose_rules(
    threshold: float,
    alpha: float,
    budget: int,
    stop: str,
    lag: int,
    calibration: Calibration | None = None,
    epochs: int = 1,
) -> Rules:
    """The rules of the claim; `ConfigurationError` names what cannot be.

    With a calibration, each claim is made harder by the errors that the judge may make.
    """
    chosen: dict[str, Any] = {"threshold": threshold, "alpha": alpha, "budget": budget}
    chosen |= {"stop": stop, "lag": lag, "epochs": epochs}
    if calibration is not None:
        chosen["specificity"], chosen["sensitivity"] = rules_bounds(calibration)
    try:
        return Rules.model_validate(chosen)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "rules"
        raise ConfigurationError(
            f"{name} = {first.get('input')!r} is not possible: {first['msg']}"
        ) from None


# ------------------------------------------------------------------------------ before any call


def check_seeds(distribution: Distribution) -> None:
    """Hold every seed, unchanged, to its own controls; `SeedError` when one is blind."""
    for name in distribution.seeds:
        if not distribution.admissible(name, Plan(seed=name)):
            reason = distribution.blind[name, Plan(seed=name)].reason
            raise SeedError(
                f"seed {name!r} cannot be judged even unchanged: {reason}; mend the seed"
            )


def try_each_alone(distribution: Distribution, judge: Judge) -> None:
    """Hold every transform, alone and at its defaults, to the controls of some seeds, in turn.

    A first look, so that one which blinds the judge is named before anything is spent: every
    variant that is drawn is held to its own controls anyway. What is built in, judge, transform
    and seed, was held to each other before it was released.
    """
    ours = _released_with() if _is_rules(judge) else frozenset[str]()
    installed = set(map(id, registry.find_catalogue()))
    for number, transform in enumerate(distribution.catalogue):
        if transform.name not in distribution.pools:
            continue
        step = distribution.pools[transform.name][:1]
        known = ours if id(transform) in installed else frozenset()
        fitting = [
            seed.name
            for seed in distribution.scenarios.values()
            if seed.content_hash not in known and transform.applicable(seed)
        ]
        for i in range(min(TRIED_ON, len(fitting))):
            name = fitting[(number + i * len(fitting) // TRIED_ON) % len(fitting)]
            distribution.admissible(name, Plan(seed=name, steps=step))
