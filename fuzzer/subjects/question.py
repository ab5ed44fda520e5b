"""One question to a model, one text as the answer: through the gate, retries and keys of a subject.

For what is asked beside the tests themselves, such as a translation. Nothing of it is a trial.
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from fuzzer.errors import ConfigurationError
from fuzzer.scenario import Clock, Ledger, Organisation, Person, Scenario, Threat, Wording
from fuzzer.subjects import Subject
from fuzzer.subjects.conversation import Lost, Model
from fuzzer.transform import Plan
from fuzzer.variant import Request, Variant

Ask = Callable[[str], Awaitable[str]]


def asker(subject: Subject) -> Ask:
    """How to ask the model behind a subject; `ConfigurationError` for one that takes no question.

    Answers raise `ConfigurationError` too: where a question stays without one, no other would fare
    better. What a model declines to answer is an answer.
    """
    if not (hasattr(subject, "generate") and hasattr(subject, "read")):
        raise ConfigurationError(
            f"model {subject.name!r} cannot be asked a question; name one behind an interface: "
            "anthropic/MODEL or PROVIDER/MODEL"
        )
    behind: Any = subject
    model: Model = behind

    async def ask(question: str) -> str:
        label = f"question-{hashlib.blake2b(question.encode(), digest_size=8).hexdigest()}"
        messages = ({"role": "user", "content": question},)
        request = Request.of(system="", messages=messages, tools=(), text=question)
        try:
            async with model.gate:
                raw = await model.generate(request, model.opening(request), label)
                model.gate.answered()
            answer = model.read(raw)
        except Lost as lost:
            raise _no_answer(subject, lost.cause) from None
        except ValueError:
            raise _no_answer(subject, "malformed answer") from None
        if answer.ending == "max_tokens":
            raise _no_answer(subject, "cut off at max_tokens; give more with -M max_tokens=N")
        return answer.turn.text

    return ask


def _no_answer(subject: Subject, cause: str) -> ConfigurationError:
    return ConfigurationError(f"{subject.name!r} gave no answer to a question ({cause})")


#: A situation in which nothing but a question is: what a subject is given that only acts.
_NOWHERE = Scenario(
    name="question",
    cast=(Person(role="agent", first="Agent", mailbox="agent"),),
    organisation=(Organisation(role="org", name="Organisation", domain="example.org"),),
    system=(),
    goal=Wording(text=""),
    threat=Threat(kind="none", by="agent", text=""),
    leverage=Wording(text=""),
    inbox=(),
    tools=(),
    generations=1,
    clock=Clock(now=datetime(2026, 1, 1), deadline=datetime(2026, 1, 1)),
    ledger=Ledger(behaviour="none", target="agent"),
)


def posed(system: str, said: str, form: dict[str, Any] | None = None) -> Variant:
    """A question as a variant, so that any subject can be asked it: the one turn of its `act`.

    `said` is the user's message; `form` is the JSON Schema of the answer, for subjects that can be
    held to one.
    """
    text = f"{system}\n\n{said}"
    identity = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).hexdigest()
    variant = Variant.of(id=identity, plan=Plan(seed="question"), scenario=_NOWHERE, distance=0)
    messages = ({"role": "user", "content": said},)
    request = Request.of(system=system, messages=messages, tools=(), text=text, form=form)
    vars(variant)["request"] = request  # what it would otherwise render
    return variant
