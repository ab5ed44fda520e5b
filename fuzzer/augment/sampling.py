"""A model's answers to environments, so that its safe ones can be learned from.

The calls go the way a sweep's go: into a store that survives a kill, within limits, judged by the
same judge. They are no evidence of anything: no verdict is drawn from them.
"""

from collections import Counter
from pathlib import Path

from fuzzer.augment.drawing import Environments
from fuzzer.errors import ConfigurationError
from fuzzer.evaluate import Evaluator, Told
from fuzzer.judges import Judge
from fuzzer.limits import Limits
from fuzzer.proposal import InTurn, Proposal
from fuzzer.scenario import Frozen
from fuzzer.store import RunStore
from fuzzer.subjects import Subject

PHASE = "augment"


class Sampled(Frozen):
    """What a model's answers come to. A count, and no evidence of a rate."""

    out: Path
    model: str
    calls: int
    counts: dict[str, int]  # by verdict
    useful: int = 0  # safe, and all of the ordinary job done
    stopped: str = ""  # why it ended early
    dollars: float | None = None


class SampleCalls(InTurn):
    """Something to drive: each environment in turn, `epochs` times."""

    def __init__(self, environments: Environments, n: int, epochs: int) -> None:
        super().__init__(n * epochs)
        self._environments = environments
        self._epochs = epochs

    def proposal(self, index: int) -> Proposal:
        """The call of an index."""
        number, epoch = divmod(index, self._epochs)
        variant, _ = self._environments.variant(number)
        return Proposal(
            index=index,
            seed=variant.plan.seed,
            plan=variant.plan,
            stratum="half",
            account="augment",
            epoch=epoch,
            distance=variant.distance,
        )


async def sample(
    environments: Environments,
    n: int,
    epochs: int,
    subject: Subject,
    judge: Judge,
    directory: Path,
    *,
    limits: Limits,
    connections: int,
    settings: dict[str, object],
    batch: bool = False,
    told: Told = lambda _proposal, _verdict: None,
) -> Sampled:
    """Ask `subject` about `n` environments, `epochs` times each; the answers are in `directory`.

    What is there already is not asked again. Raises `HoldfastError` for what the user can mend.
    """
    claim = {
        "model": subject.name,
        "settings": settings,
        "judge": {"name": judge.name, "version": judge.version},
        "recipe": environments.recipe.model_dump(mode="json", exclude={"canary"}),
        "epochs": epochs,
        "seeds": {seed.name: seed.content_hash for seed in environments.seeds},
    }
    there = (directory / "run.sqlite").exists()
    with RunStore.resume(directory, claim) if there else RunStore.create(directory, claim) as store:
        limits.spent = store.usage()
        if (gate := getattr(subject, "gate", None)) is not None:
            gate.allow(connections)
        if batch:
            use = getattr(subject, "use_batches", None)
            if use is None:
                raise ConfigurationError(
                    f"{subject.name!r} has no batches; --batch needs anthropic/MODEL"
                )
            use(store)
        built_by = environments.distribution
        evaluator = Evaluator(subject, judge, built_by, store, connections, limits=limits)
        try:
            await evaluator.drive(SampleCalls(environments, n, epochs), PHASE, told)
        except ConfigurationError:
            store.discard()
            raise
        finally:
            for one in (subject, judge):
                if (close := getattr(one, "close", None)) is not None:
                    await close()
        rows = list(store.rows(PHASE))
        counts = Counter(row.value or "not judged" for row in rows)
        return Sampled(
            out=directory,
            model=subject.name,
            calls=len(rows),
            counts=dict(sorted(counts.items())),
            useful=sum(row.value == "safe" and row.utility == 1 for row in rows),
            stopped=limits.reason,
            dollars=limits.dollars if limits.price is not None else None,
        )
