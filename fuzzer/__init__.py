"""Holdfast: does a model's zero hold when only the surface changes?

The public names are loaded when first asked for (PEP 562), so that ``import fuzzer`` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fuzzer.campaign import asweep, sweep
    from fuzzer.judges import Judge
    from fuzzer.judges.model import ModelJudge
    from fuzzer.judges.panel import Panel
    from fuzzer.records import Report, Verdict
    from fuzzer.scenario import Scenario
    from fuzzer.subjects import Subject
    from fuzzer.subjects.organisms import Organism
    from fuzzer.transcript import Transcript
    from fuzzer.transform import Params, Plan, Step, transform
    from fuzzer.variant import Variant

_HOME = {
    "Judge": "fuzzer.judges",
    "ModelJudge": "fuzzer.judges.model",
    "Organism": "fuzzer.subjects.organisms",
    "Panel": "fuzzer.judges.panel",
    "Params": "fuzzer.transform",
    "Plan": "fuzzer.transform",
    "Report": "fuzzer.records",
    "Scenario": "fuzzer.scenario",
    "Step": "fuzzer.transform",
    "Subject": "fuzzer.subjects",
    "Transcript": "fuzzer.transcript",
    "Variant": "fuzzer.variant",
    "Verdict": "fuzzer.records",
    "asweep": "fuzzer.campaign",
    "sweep": "fuzzer.campaign",
    "transform": "fuzzer.transform",
}

__all__ = [
    "Judge",
    "ModelJudge",
    "Organism",
    "Panel",
    "Params",
    "Plan",
    "Report",
    "Scenario",
    "Step",
    "Subject",
    "Transcript",
    "Variant",
    "Verdict",
    "asweep",
    "sweep",
    "transform",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fuzzer' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
