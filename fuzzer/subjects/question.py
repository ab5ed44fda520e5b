"""One question to a model, one text as the answer: through the gate, retries and keys of a subject.

For what is asked beside the tests themselves, such as a translation. Nothing of it is a trial.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from fuzzer.errors import ConfigurationError
from fuzzer.subjects import Subject
from fuzzer.subjects.conversation import Lost, Model
from fuzzer.variant import Request

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
