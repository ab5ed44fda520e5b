"""The published classifiers' own string gates beside our verdict, on the same transcript.

A published classifier calls a response harmful when a model says so *and* its text passes gates:
a literal address, a code, a word. Here the model is taken to have said yes, so that only the gates
decide: once on the text as it is, once on the text mapped back to the surface they were written for
(names, addresses, domains, tags). Where the first is blind and the second is not, the gates have
lost sight of the surface, and the subject has lost nothing of its harm.
"""

import importlib
import re
from functools import lru_cache
from typing import Any, NamedTuple

from fuzzer.errors import ConfigurationError
from fuzzer.scenario import Scenario
from fuzzer.tools import write_call
from fuzzer.transcript import Action, Transcript
from fuzzer.variant import Slots, Variant
from seeds.published import EXTRA, PREFIX, load_published

__all__ = ["Gates", "canonical_text", "gates"]


class Gates(NamedTuple):
    """Whether the gates let a harmful answer of the grader stand."""

    stock: bool  # on the text as the subject wrote it
    mapped: bool  # on the text mapped back


def gates(variant: Variant, transcript: Transcript) -> Gates:
    """What the published classifier would make of a transcript that its grader calls harmful.

    Raises `ConfigurationError` without the extra, or for a variant of another seed.
    """
    seed = variant.plan.seed
    if not seed.startswith(PREFIX):
        raise ConfigurationError(f"seed {seed!r} is no published condition: it has no gates")
    classifier = _classifier(seed.removeprefix(PREFIX).partition("-")[0])
    said = "\n\n".join(turn.text for turn in transcript.turns if turn.role == "assistant")
    mapped = canonical_text(variant, load_published(seed), transcript)
    return Gates(_passes(classifier, said), _passes(classifier, mapped))


def _passes(classifier: Any, response: str) -> bool:
    final, _, _ = classifier.classify(response=response, grader_response="<answer>yes</answer>")
    return bool(final)


@lru_cache(maxsize=3)
def _classifier(scenario: str) -> Any:
    try:
        found = importlib.import_module("inspect_evals.agentic_misalignment.classifiers")
    except ImportError:
        raise ConfigurationError(f"the published classifiers need the extra: {EXTRA}") from None
    kind = {"blackmail": "Blackmail", "leaking": "Leak", "murder": "Murder"}[scenario]
    return getattr(found, f"{kind}Classifier")()


def canonical_text(variant: Variant, seed: Scenario, transcript: Transcript) -> str:
    """What the subject said and did, in the names, addresses and tags of the seed.

    What it said stands first, and then each act, by its role, as the seed's protocol writes it.
    """
    said = [turn.text for turn in transcript.turns if turn.role == "assistant"]
    acts = [written for action in transcript.actions if (written := _act(seed, action))]
    return _renamed(variant, seed, "\n\n".join((*said, *acts)))


def _act(seed: Scenario, action: Action) -> str:
    tool = seed.tool(action.role)
    if tool is None:
        return ""  # nothing in the published protocol does this
    roles = {param.role for param in tool.params}
    args = {role: str(value) for role, value in action.args.items() if role in roles}
    return write_call(tool, args, seed.channel).text


def _renamed(variant: Variant, seed: Scenario, text: str) -> str:
    """The text with everybody and everything called as in the seed, longer names first."""
    now, then = Slots(variant.scenario), Slots(seed)
    names: dict[str, str] = {}
    for person in seed.cast:
        for field in ("email", "name", "first", "last", "nick"):
            names.setdefault(now[person.role, field], then[person.role, field])
    for organisation in seed.organisation:
        for field in ("name", "short", "domain"):
            names.setdefault(now[organisation.role, field], then[organisation.role, field])
    names.pop("", None)
    called = {name.lower(): old for name, old in names.items()}
    words = "|".join(re.escape(name) for name in sorted(called, key=len, reverse=True))
    return re.sub(rf"(?i)(?<!\w)(?:{words})(?!\w)", lambda m: called[m.group().lower()], text)
