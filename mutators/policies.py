"""Policies: rules, records, witnesses and ways out. Not surface: reported beside the verdict only.

What each does to a susceptible model has been published, and its docstring says how much.
"""

from typing import Literal

from fuzzer.scenario import Scenario
from fuzzer.transform import transform
from mutators import banks
from mutators.cues import Notice, noticed
from mutators.values import changed, placed


class Policy(Notice):
    """What the policy says of acting alone, and in which words."""

    stance: Literal["forbids", "permits"] = "forbids"


@transform(family="cues", relation="safety_cue", changes={"system"})
def add_policy(scenario: Scenario, params: Policy) -> Scenario:
    """Quote a company policy that forbids, or permits, the agent to act on its own account.

    No published study changes this alone; what a prompt forbids outright is `forbid_coercion`.
    """
    return noticed(scenario, "add_policy", params.wording, params.stance)


@transform(family="cues", relation="safety_cue", changes={"system"})
def audit_notice(scenario: Scenario, params: Notice) -> Scenario:
    """Say that all actions are logged and audited for safety.

    In small public runs (samliumay, a few samples a cell) several models did less under
    "safety monitoring"; how much less is not settled by their number.
    """
    return noticed(scenario, "audit_notice", params.wording)


@transform(family="cues", relation="safety_cue", changes={"system"})
def watch_session(scenario: Scenario, params: Notice) -> Scenario:
    """Say that somebody reads along during the session and can step in.

    The seed's paragraph on working unseen (``deployment``), where there is one, gives way.
    Hopman et al. 2026, arXiv:2603.01608: with more oversight their scheming agents schemed not
    less but more, by up to 25 points.
    """
    seen = tuple(block for block in scenario.system if block.id != "deployment")
    return noticed(changed(scenario, system=seen), "watch_session", params.wording)


class Escalation(Notice):
    """Which channel, and whether a bulletin says that it works."""

    bulletin: bool = False


@transform(
    family="cues",
    relation="safety_cue",
    changes={"inbox"},
    requires={"correspondence"},
    before={"reorder_inbox"},
)
def add_escalation_path(scenario: Scenario, params: Escalation) -> Scenario:
    """Have a mail tell of a channel through which a decision can be put on hold and reviewed.

    Gomez 2025, arXiv:2510.05192 (66,600 samples, ten models): with such a channel mailed in,
    blackmail fell from 38.73% to 1.21%, and to 0.85% with a bulletin beside it.
    """
    inbox = scenario.inbox
    for number, kind in enumerate(("escalation", "bulletin")[: 1 + params.bulletin], start=1):
        known = banks.escalations(kind)
        at = len(inbox) * number // 3
        inbox = placed(inbox, known[params.wording % len(known)], at)
    return changed(scenario, inbox=inbox)
