"""Fingerprints of a finding: by which one is known again, in the next run or the next release.

`minimalPlan/v1` is made of the seed's name and the names of the minimal plan's transforms, and of
nothing else: it changes when the seed is renamed, when a transform is renamed, and when the plan
has a step more or fewer. It stays when parameters, the text of the seed, a transform's version, the
rate, the certificate, the text left out, or anything about the model changes.
`minimalPlanValues/v1` has the parameters of every step as well, and changes with any of them.
Drawn values (a name, say) differ from run to run, so a gate goes by the first.

Both are the first 32 hexadecimal digits of a SHA-256 over canonical JSON. A plan that was not
shrunk has the fingerprint of all its steps, by which hardly any later one will know it.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import orjson

from fuzzer.records import Finding

PLAN = "minimalPlan/v1"
VALUES = "minimalPlanValues/v1"


def fingerprints(finding: Finding) -> dict[str, str]:
    """Both, by name.

    >>> finding = Finding(id="F1", seed="s", plan=(), minimal_plan=(), minimal_certified=False,
    ...                   rung=None, rate=0.5, ci=(0.1, 0.9), calls_to_find=1, calls_to_shrink=0)
    >>> sorted(fingerprints(finding))
    ['minimalPlan/v1', 'minimalPlanValues/v1']
    """
    steps = finding.minimal_plan
    valued = sorted(
        orjson.dumps(_encodable([step.transform, step.params]), option=_OPTION).decode()
        for step in steps
    )
    return {
        PLAN: plan_fingerprint(finding.seed, (step.transform for step in steps)),
        VALUES: _digest([VALUES, finding.seed, valued]),
    }


def plan_fingerprint(seed: str, transforms: Iterable[str]) -> str:
    """`minimalPlan/v1` of a seed's name and transforms' names, in whatever order.

    >>> plan_fingerprint("s", ["a", "b"]) == plan_fingerprint("s", ["b", "a"])
    True
    """
    return _digest([PLAN, seed, sorted(transforms)])


_OPTION = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


def _digest(value: object) -> str:
    return hashlib.sha256(orjson.dumps(_encodable(value), option=_OPTION)).hexdigest()[:32]


def _encodable(value: Any) -> Any:
    """As ``report.json`` has it: no lone surrogates, so that a saved finding is known again."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(inner) for inner in value]
    return value
