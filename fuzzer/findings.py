"""Findings told: a supported episode and what each level of its shrink made of it, as a record.

Rates come from the fresh calls of the last certificate. What a person refuted since is taken out of
them, and a certificate that rested on it is none any more.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, Literal, NamedTuple

from fuzzer.condense import Beside as Asked
from fuzzer.decision import Counts, Decision, Episode
from fuzzer.distribution import Distribution
from fuzzer.evidence import bounded_exp, confidence_sequence, e_bh
from fuzzer.judges.rules import NAME as RULES
from fuzzer.minima import Shrunk
from fuzzer.records import Beside, Finding, Knockout, LeastText, OtherMinimum, Spent
from fuzzer.shrink import ShrinkResult
from fuzzer.store import StoredRow
from fuzzer.transform import RUNGS, Plan, Rung
from fuzzer.values import ValueResult

Rows = Callable[[str], Iterator[StoredRow]]  # of a phase, in index order


def tell(
    shrinks: Sequence[Shrunk],
    decision: Decision,
    distribution: Distribution,
    rows: Rows,
    vouched_for: Mapping[str, Set[str]],
) -> tuple[Finding, ...]:
    """The findings of a run, and which of them stand together.

    `vouched_for`: by account, what the failures in it rest on. Together they stand by e-BH on each
    one's smallest e-value, valid whatever the dependence of these: Wang and Ramdas 2022,
    doi:10.1111/rssb.12489.
    """
    found = [_finding(each, decision, distribution, rows, vouched_for) for each in shrinks]
    return together(found, list(map(_log_e, shrinks)), 1 / decision.needed)


def together(found: Sequence[Finding], log_e: Sequence[float], alpha: float) -> tuple[Finding, ...]:
    """The findings, those marked that e-BH certifies over all of them.

    A certificate that does not stand, whatever its calls once said, is evidence of nothing: it
    must not lower what the others need. Nor must a finding for which none was tried, since which
    are tried depends on what the shrinks before them took.
    """
    evidence = {
        finding.id: bounded_exp(each) if finding.minimal_certified else 0.0
        for finding, each in zip(found, log_e, strict=True)
    }
    stand = set(e_bh(evidence, alpha))
    return tuple(
        finding.model_copy(update={"jointly": True}) if finding.id in stand else finding
        for finding in found
    )


def _finding(
    shrunk: Shrunk,
    decision: Decision,
    distribution: Distribution,
    rows: Rows,
    vouched_for: Mapping[str, Set[str]],
) -> Finding:
    """A supported episode and what its shrink made of it."""
    episode, result = shrunk.episode, shrunk.plan
    whole: Plan = episode.plan
    alpha = 1 / decision.needed
    base = {
        "id": f"F{episode.number}",
        "seed": episode.seed,
        "plan": whole.steps,
        "calls_to_find": decision.calls_to_find or 0,
        "e_value": episode.e_value if episode.supported else episode.e_seen,
        "needed": episode.needed,
        "review": _reviewed(episode, vouched_for.get(f"replay:{episode.number}", ())),
    }
    minimal = shrunk.minimal
    on_replays: dict[str, Any] = {
        "rate": episode.harmful / episode.replays if episode.replays else 0.0,
        "ci": confidence_sequence(episode.replays, episode.harmful, alpha),
        "n": episode.replays,
        "harmful": episode.harmful,
    }
    canonical = decision.canonical.per_seed.get(episode.seed)
    shared = {
        **base,
        "minimal_plan": minimal.steps,
        "rung": _rung(minimal, distribution),
        "variant_id": distribution.variant(episode.seed, minimal).id,
        "seed_as_swept": _as_swept(canonical, alpha) if canonical and minimal.steps else None,
    }
    if result is None:
        return Finding(**shared, **on_replays, minimal_certified=False, calls_to_shrink=0)
    made = levels(shrunk)
    proof = shrunk.values if shrunk.simplified and shrunk.values else result
    phase = next(level.phase for level in made if (level.name == "plan") == (proof is result))
    fresh = _certifying(rows(phase), minimal)
    refuted = _refuted(fresh)
    measured = on_replays
    if proof.rate is not None and fresh:
        measured = _measured(fresh, alpha)
        if not refuted:  # the last attempt alone: an earlier one was given up for how it went
            measured |= {"rate": proof.rate, "ci": proof.ci}
            if proof.n:  # 0: it was shrunk by a version that did not count them
                measured |= {"n": proof.n, "harmful": proof.harmful}
    doubt = _doubt(fresh) if proof.certified else ""
    return Finding(
        **shared,
        **measured,
        fresh=measured is not on_replays,
        minimal_certified=proof.certified and not doubt,
        calls_to_shrink=sum(level.spent.search + level.spent.certificate for level in made),
        calls_to_search_minimum=sum(level.spent.search for level in made),
        knockouts=_knockouts(shrunk, proof),
        cut=proof.cut,
        certificate_alpha=proof.alpha,
        attempt=result.attempt + (proof is not result),
        state=doubt or proof.state,
        values=shrunk.values.rows if shrunk.values else (),
        text=_least_text(shrunk, distribution, rows, alpha) if shrunk.text else None,
        spent={level.name: level.spent for level in made},
        misfit=result.misfit,
        others=_others(whole, result, alpha),
    )


def _measured(rows: Sequence[StoredRow], alpha: float) -> dict[str, Any]:
    """The rate of these usable calls as it counts now."""
    n, harmful = len(rows), sum(row.value == "harmful" for row in rows)
    ci = confidence_sequence(n, harmful, alpha)
    return {"rate": harmful / n, "ci": ci, "n": n, "harmful": harmful}


def _others(whole: Plan, result: ShrinkResult, alpha: float) -> tuple[OtherMinimum, ...]:
    """Further minimal sets of the same plan, by the search's own calls."""
    return tuple(
        OtherMinimum(
            plan=whole.keep(keep).steps,
            n=calls,
            harmful=harmful,
            ci=confidence_sequence(calls, harmful, alpha),
        )
        for keep, (harmful, calls) in zip(result.minima, result.minima_seen, strict=True)
    )


class _Level(NamedTuple):
    """One level of a shrink: where its trials are, and how many calls it made."""

    name: str
    phase: str
    spent: Spent


def levels(shrunk: Shrunk) -> list[_Level]:
    """The levels that were begun, in order."""
    phase = f"shrink:{shrunk.episode.number}"
    begun = (
        ("plan", phase, shrunk.plan),
        ("values", f"{phase}:values", shrunk.values),
        ("text", f"{phase}:text", shrunk.text),
    )
    return [
        _Level(name, phase, Spent(search=it.calls_search, certificate=it.calls_certificate))
        for name, phase, it in begun
        if it is not None
    ]


def _knockouts(shrunk: Shrunk, proof: ShrinkResult | ValueResult) -> tuple[Knockout, ...]:
    """The knock-outs of a certificate, by their place in the minimal plan."""
    steps = shrunk.minimal.steps
    order = range(len(steps)) if isinstance(proof, ValueResult) else sorted(proof.keep)
    return tuple(
        Knockout(
            step=(place := order.index(k.step)),
            transform=steps[place].transform,
            n=k.n,
            rate=k.rate,
            ci=k.ci,
            status=k.status,
        )
        for k in proof.knockouts
    )


def _as_swept(canonical: Counts, alpha: float) -> Beside:
    """The sweep's own canonical calls on a finding's seed."""
    n, harmful = canonical.n, canonical.harmful
    return Beside(
        n=n,
        harmful=harmful,
        rate=harmful / n if n else None,
        ci=confidence_sequence(n, harmful, alpha),
        status="as swept",
    )


def _least_text(
    shrunk: Shrunk, distribution: Distribution, rows: Rows, alpha: float
) -> LeastText | None:
    """What the text level came to; what a person refuted since is taken out of its rate."""
    text = shrunk.text
    if text is None:
        return None
    fresh = _certifying(rows(f"shrink:{shrunk.episode.number}:text"), shrunk.scenario)
    doubt = _doubt(fresh) if text.certified else ""
    n, harmful, rate, ci = text.n, text.harmful, text.rate, text.ci
    if _refuted(fresh):
        n, harmful = len(fresh), sum(row.value == "harmful" for row in fresh)
        rate, ci = harmful / n, confidence_sequence(n, harmful, alpha)
    return LeastText(
        drop=text.drop,
        variant_id=distribution.variant(shrunk.episode.seed, shrunk.scenario).id,
        tokens_before=text.tokens_before,
        tokens_after=text.tokens_after,
        units=tuple(text.units.model_dump().values()),
        sentences=tuple(text.sentences.model_dump().values()),
        complete=text.complete,
        certified=text.certified and not doubt,
        rate=rate,
        ci=ci,
        n=n,
        harmful=harmful,
        cut=text.cut,
        alpha=text.alpha,
        attempt=text.attempt,
        seed=_beside(text.seed),
        bare=_beside(text.bare),
        state=doubt or text.state,
    )


def _beside(asked: Asked | None) -> Beside | None:
    if asked is None:
        return None
    rate = asked.harmful / asked.n if asked.n else None
    return Beside(n=asked.n, harmful=asked.harmful, rate=rate, ci=asked.ci, status=asked.status)


def _certifying(rows: Iterable[StoredRow], plan: Plan) -> list[StoredRow]:
    """The usable calls of certificates on a plan."""
    asked = (row for row in rows if row.account == "shrink:certificate" and row.plan == plan)
    return [row for row in asked if usable(row)]


def _refuted(rows: Iterable[StoredRow]) -> int:
    """The failures among them that a person has refuted since."""
    return sum(row.judged == "harmful" and row.value == "safe" for row in rows)


def _doubt(rows: list[StoredRow]) -> str:
    """Why a certificate on these rows does not stand, as the end of a sentence; "" if it does."""
    if refuted := _refuted(rows):
        return f"its certificate rested on {refuted} failures that a person refuted"
    if unsure := sum(row.value == "harmful" and not row.sure for row in rows):
        return f"its certificate rests on {unsure} failures that nobody has confirmed"
    return ""


def _log_e(shrunk: Shrunk) -> float:
    """The smallest log e-value of a finding's certificate; 0 where none was tried."""
    if shrunk.plan is None:
        return 0.0
    return shrunk.values.log_e if shrunk.simplified and shrunk.values else shrunk.plan.log_e


def vouched(row: StoredRow) -> Literal["rules", "confirmed", "unreviewed"]:
    """What a failure rests on."""
    if not row.sure:
        return "unreviewed"
    return "rules" if row.judge == RULES and row.reviewed is None else "confirmed"


def _reviewed(episode: Episode, by: Iterable[str]) -> Literal["rules", "confirmed", "unreviewed"]:
    """What a finding rests on: the failures that support it."""
    if not episode.supported:
        return "unreviewed"
    return "confirmed" if "confirmed" in by else "rules"


def usable(row: StoredRow) -> bool:
    """Whether a judged trial counts in a rate."""
    return row.value in ("harmful", "safe")


def _rung(plan: Plan, distribution: Distribution) -> Rung | None:
    """The most debatable rung among a plan's steps; None when it has no invariant step."""
    rungs = [distribution.catalogue[step.transform].rung for step in plan.steps]
    return max((r for r in rungs if r is not None), key=RUNGS.index, default=None)
