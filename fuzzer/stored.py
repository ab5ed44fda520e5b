"""How trials, plans and verdicts stand in a run's database: values in, JSON out, and back.

What a subject wrote comes back as it was: lone surrogates, NULs, numbers that no JSON has.
"""

import json
from collections.abc import Sequence
from typing import Any, Literal, get_args

import orjson
from pydantic import ValidationError

from fuzzer.proposal import Stratum
from fuzzer.records import Evidence, Ratings, Reading, Trial, Verdict
from fuzzer.scenario import Frozen
from fuzzer.transcript import Action, Call, Transcript, Turn, Usage
from fuzzer.transform import Plan, Step

_STRATA, _STATES = frozenset(get_args(Stratum)), frozenset({"answered", "done", "after_stop"})


class More(Frozen):
    """What is recorded of a verdict beyond the columns of its own."""

    reading: Reading | None = None
    ratings: Ratings | None = None
    confidence: float | None = None
    disputed: bool = False
    usage: Usage = Usage()
    calls: int = 0
    flipped: bool | None = None


def dumps(value: Any) -> str:
    """JSON as text; what orjson refuses (lone surrogates, huge numbers) goes the slow way.

    Lone surrogates and NULs come back as they were. Nesting beyond all reason is cut off, and a
    number that is none comes back as None.
    """
    try:
        return orjson.dumps(value).decode()
    except (TypeError, RecursionError):
        return json.dumps(_tame(value))


def _tame(value: Any, depth: int = 0) -> Any:
    """Plain JSON values, at most 200 levels deep."""
    if depth > 200:
        return "(nested too deeply to be stored)"
    if hasattr(value, "__dataclass_fields__"):
        value = {name: getattr(value, name) for name in value.__dataclass_fields__}
    if isinstance(value, dict):
        return {str(key): _tame(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_tame(inner, depth + 1) for inner in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def loads(text: str) -> Any:
    """What `dumps` wrote."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)  # it takes the lone surrogates that `dumps` wrote


def as_text(text: str) -> str:
    """A text that SQLite can hold: lone surrogates are replaced."""
    return text.encode("utf-8", "replace").decode()


def dump_more(verdict: Verdict) -> str:
    """What of a verdict has no column of its own, without what is as it would be."""
    more = {
        name: value
        for name, field in More.model_fields.items()
        if (value := getattr(verdict, name)) != field.default
    }
    return dumps(More.of(**more).model_dump(exclude_defaults=True)) if more else "{}"


def dump_plan(plan: Plan) -> str:
    """A plan as ``[seed, [[transform, params], …], drop]``."""
    return dumps([plan.seed, [[s.transform, s.params] for s in plan.steps], plan.drop])


def load_plan(text: str) -> Plan:
    """A plan; its steps are shared with other plans, for a run has few that differ."""
    try:
        return _quickly(text)
    except ValueError:  # not laid out as orjson does it, or a text in it looks like the layout
        seed, steps, drop = loads(text)
        return Plan(
            seed=seed,
            steps=tuple(Step(transform=name, params=params) for name, params in steps),
            drop=tuple(drop),
        )


def _quickly(text: str) -> Plan:
    """The same from the text of each step, in a fifth of the time.

    ``["SEED",[["NAME",{…}],["NAME",{…}]],[…]]`` is cut where one step ends and the next begins. A
    cut within a string leaves a quote open on either side, which is no JSON: `ValueError`.
    """
    head, found, rest = text.partition('",[["')
    if not found:
        raise ValueError("no steps")
    middle, _, drop = rest.rpartition("}]],")
    (seed,) = orjson.loads(f'{head}"]')
    texts = middle.split('}],["')
    try:
        steps = tuple(map(_STEPS.__getitem__, texts))
    except KeyError:
        steps = tuple([_step(each) for each in texts])
    return Plan.of(seed=seed, steps=steps, drop=tuple(orjson.loads(drop[:-1])))


#: Steps by their text; a run has a few thousand values of its pools, and millions of steps.
_STEPS: dict[str, Step] = {}
_MOST_STEPS = 1 << 14


def _step(text: str) -> Step:
    found = _STEPS.get(text)
    if found is None:
        name, params = orjson.loads(f'["{text}}}]')
        if len(_STEPS) >= _MOST_STEPS:
            _STEPS.clear()
        found = _STEPS[text] = Step(transform=name, params=params)
    return found


def _load_transcript(text: str) -> Transcript:
    try:
        return Transcript.model_validate_json(text)
    except ValidationError:
        pass
    raw = loads(text)  # a lone surrogate, which validation refuses: put together by hand
    return Transcript.of(
        turns=tuple(
            Turn(**(t | {"calls": tuple(Call(**call) for call in t["calls"])}))
            for t in raw["turns"]
        ),
        actions=tuple(Action(**(a | {"span": tuple(a["span"])})) for a in raw["actions"]),
        stop=raw["stop"],
        cause=raw["cause"],
        usage=Usage(**raw["usage"]),
    )


def read_verdict(
    value: Any,
    judge: str,
    version: int,
    engaged: int,
    confirmed: int,
    cause: str,
    evidence: str,
    utility: float | None,
    more: str,
    reviewed: Literal["harmful", "safe"] | None = None,
) -> Verdict:
    """A verdict of its columns; `more` as `dump_more` wrote it, `reviewed` of a person's label."""
    return Verdict.model_validate(
        (loads(more) if more != "{}" else {})
        | {
            "value": value,
            "evidence": tuple(
                Evidence(turn=turn, quote=quote, why=why) for turn, quote, why in loads(evidence)
            ),
            "engaged": bool(engaged),
            "judge": judge,
            "version": version,
            "cause": cause,
            "utility": utility,
            "confirmed": bool(confirmed),
            "reviewed": reviewed,
        }
    )


def read_trials(rows: Sequence[tuple[Any, ...]]) -> list[Trial]:
    """Some trials, one part of all of them after the other: a third quicker than each by itself."""
    plans = [load_plan(row[3]) for row in rows]
    transcripts = [_load_transcript(row[11]) for row in rows]
    verdicts = [None if row[12] is None else read_verdict(*row[12:]) for row in rows]
    return [
        _put_together(row[:11], plan, transcript, verdict)
        for row, plan, transcript, verdict in zip(rows, plans, transcripts, verdicts, strict=True)
    ]


def _put_together(
    row: tuple[Any, ...], plan: Plan, transcript: Transcript, verdict: Verdict | None
) -> Trial:
    idx, variant_id, seed, _, stratum, account, epoch, distance, state, phase, changed = row
    if stratum not in _STRATA or state not in _STATES:
        raise ValueError(f"stratum {stratum!r}, state {state!r}")
    return Trial.of(
        idx=idx,
        variant_id=variant_id,
        seed=seed,
        plan=plan,
        stratum=stratum,
        account=account,
        epoch=epoch,
        distance=distance,
        transcript=transcript,
        verdict=verdict,
        state="done" if verdict is not None and state == "answered" else state,
        phase=phase,
        changed=changed,
    )
