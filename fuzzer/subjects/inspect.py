"""Models of every other provider, through Inspect's model API; nothing else imports it.

Inspect speaks to each provider. The loop, the retries and how many requests fly at once are ours
and so the same for all of them: Inspect is asked for single attempts, and takes no notes. It is an
extra, imported when a model is asked for.
"""

import asyncio
import json
import os
import random
import re
import sys
import zlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import redirect_stdout
from copy import deepcopy
from functools import partial
from itertools import count
from logging import NullHandler, getLogger
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, PrivateAttr, ValidationError, model_serializer
from pydantic_core import from_json

from fuzzer.environment import REFUSED
from fuzzer.errors import ConfigurationError, RequestRejected
from fuzzer.scenario import Frozen
from fuzzer.secrets import Secrets
from fuzzer.subjects import Memory
from fuzzer.subjects.conversation import Answer, Lost, NoMemory, converse, refused
from fuzzer.subjects.gate import Gate
from fuzzer.subjects.wire import is_url, read_settings, retry_after, short
from fuzzer.transcript import Call, Shown, Transcript, Turn, Usage
from fuzzer.variant import Request, Variant


class Settings(Frozen):
    """What ``-M key=value`` and ``--base-url`` may say; None: as the provider does by default."""

    base_url: str | None = None
    max_tokens: Annotated[int, Field(ge=1)] = 8192  # of one generation, reasoning included
    max_turns: Annotated[int, Field(ge=1)] = 8  # generations in one trial
    temperature: Annotated[float, Field(ge=0)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: int | None = None  # each generation has one of its own, drawn from this
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = (
        None
    )
    reasoning_tokens: Annotated[int, Field(ge=1)] | None = None
    tool_choice: Literal["auto", "any", "none"] | None = None
    parallel_tool_calls: bool | None = None
    timeout: Annotated[float, Field(gt=0)] = 300  # seconds for one attempt at a generation
    trial_timeout: Annotated[float, Field(gt=0)] = 900  # seconds for one trial, retries included
    max_retries: Annotated[int, Field(ge=0)] = 4  # of one generation


class InspectSubject:
    """``PROVIDER/MODEL`` for any provider that Inspect knows; the settings are those of `Settings`.

    Keys come from the environment, under the names each provider gives them, and stay out of
    everything that is kept or shown. Connections belong to the event loop of the first call; they
    are closed by `close`, or when that loop ends as `asyncio.run` ends it.
    """

    def __init__(self, model: str, **settings: Any) -> None:
        self.name = model
        self._secrets = Secrets.of()
        self.settings = _settings(settings, self._secrets)
        self.free = model.startswith("mockllm/")
        self._inspect, self._tools, self._unnoted = _imported(model)
        self._schema = written_whole(self._tools.ToolParams)
        # Google's servers summarise the reasoning, and Inspect hands it on as if it were all.
        self._told: Shown = "summarised" if model.startswith("google/") else "full"
        self._made: Any = self._make()  # now, so that a missing key is said before a run begins
        self._model: Any = None
        self._life: AsyncGenerator[Any] | None = None
        self.gate = Gate()

    async def act(self, variant: Variant, epoch: int) -> Transcript:
        """One conversation, from the request until the subject has nothing more to do."""
        return await self.converse(variant, epoch, NoMemory())

    async def converse(
        self,
        variant: Variant,
        epoch: int,  # noqa: ARG002 - what tells generations apart is their label
        memory: Memory,
    ) -> Transcript:
        """The same; generations that an earlier process paid for are taken from `memory`."""
        return await converse(
            self,
            variant,
            memory,
            max_turns=self.settings.max_turns,
            timeout=self.settings.trial_timeout,
        )

    async def close(self) -> None:
        """Close the connections; a later call opens them again."""
        life, self._life = self._life, None
        if life is not None:
            await life.aclose()

    # ---- a provider's side of the conversation

    def opening(self, request: Request) -> list[Any]:
        """The system prompt and the request's messages, as Inspect has them."""
        kinds = {
            "user": self._inspect.ChatMessageUser,
            "assistant": self._inspect.ChatMessageAssistant,
        }
        messages = [kinds[m["role"]](content=m["content"]) for m in request.messages]
        if request.system:
            messages.insert(0, self._inspect.ChatMessageSystem(content=request.system))
        return messages

    async def generate(self, request: Request, messages: Sequence[Any], label: str) -> str:
        """One generation as Inspect read it, without keys; `Lost` when there is none.

        Raises `ConfigurationError` when no other call could have one either.
        """
        asked = {
            "input": list(messages),
            "tools": [self._tool(tool) for tool in request.tools],
            "tool_choice": self.settings.tool_choice if request.tools else None,
            "config": self._config(label, bool(request.tools)),
            "cache": False,
        }
        for attempt in count(1):
            began = asyncio.get_running_loop().time()
            try:
                return await self._attempt(asked)
            except Exception as error:
                failure = _failure(error)
            if not failure.passing:
                first = len(messages) == len(self.opening(request))
                raise self._final(failure, first)
            if failure.cause == "rate limited" or failure.status == 529:
                self.gate.overloaded(failure.wait, began)
            if attempt > self.settings.max_retries:
                raise Lost(failure.cause)
            await asyncio.sleep(_backoff(attempt) if failure.wait is None else failure.wait)
            await self.gate.again()
        raise AssertionError("counting does not end")

    def read(self, raw: str) -> Answer:
        """A generation, read; `ValueError` when it is none."""
        output = self._inspect.ModelOutput.model_validate_json(raw)
        if not output.choices:
            raise ValueError("an answer without a choice")
        message, stop = output.message, output.stop_reason
        ending = _ENDINGS.get(stop, "malformed")
        cause = {"declined": "refusal", "max_tokens": stop}.get(ending, "")
        return Answer(_turn(message, self._told), ending, cause, _usage(output.usage), message)

    def results(self, calls: Sequence[Call], answers: Sequence[str]) -> list[Any]:
        """What the world said: a message to each native call, and one to those in the text."""
        messages = [
            self._inspect.ChatMessageTool(
                content=said,
                tool_call_id=call.id,
                function=call.name,
                error=(  # providers that take no error are given the text with "Error: " before it
                    self._tools.ToolCallError("parsing", said.removeprefix(REFUSED))
                    if refused(said)
                    else None
                ),
            )
            for call, said in zip(calls, answers, strict=False)
        ]
        if written := answers[len(calls) :]:
            messages.append(self._inspect.ChatMessageUser(content="\n\n".join(written)))
        return messages

    # ---- requests

    def _tool(self, tool: Mapping[str, Any]) -> Any:
        """A tool of the request as Inspect has it."""
        try:
            return self._tools.ToolInfo(
                name=tool["name"],
                description=tool["description"],
                parameters=self._schema.of(tool["input_schema"]),
            )
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise RequestRejected(
                f"{self.name!r} cannot be sent the tool {tool['name']!r}: Inspect understands no "
                f"schema with such a {where}"
            ) from None

    def _config(self, label: str, tools: bool) -> Any:
        settings = self.settings
        seed = settings.seed
        if seed is not None:  # the same one in every trial would make one sample of them all
            seed = zlib.crc32(f"{seed} {label}".encode()) >> 1
        return self._inspect.GenerateConfig(
            max_tokens=settings.max_tokens,
            temperature=settings.temperature,
            top_p=settings.top_p,
            seed=seed,
            reasoning_effort=settings.reasoning_effort,
            reasoning_tokens=settings.reasoning_tokens,
            parallel_tool_calls=settings.parallel_tool_calls if tools else None,
            internal_tools=False,  # a tool named like a provider's own is still the scenario's
            max_connections=self.gate.most,  # the gate has let in no more: nobody waits twice
            max_retries=0,
        )

    async def _attempt(self, asked: Mapping[str, Any]) -> str:
        model = await self._connected()
        with self._unnoted(_Nowhere()):
            async with asyncio.timeout(self.settings.timeout):
                output = await model.generate(**asked)
        return self._secrets.scrub(output.model_dump_json())

    def _make(self) -> Any:
        """The model; `ConfigurationError` where Inspect cannot make it."""
        hook = sys.excepthook
        only = {"custom_outputs": self._mock} if self.free else {}
        try:
            with redirect_stdout(sys.stderr):  # standard output is for the report alone
                model = self._inspect.get_model(
                    self.name, base_url=self.settings.base_url, memoize=False, **only
                )
        except Exception as error:
            sentence = self._refusal(error)
        else:
            leave_whole(model.api)
            return model
        finally:
            sys.excepthook = hook  # Inspect sets one of its own
        raise ConfigurationError(sentence)

    def _mock(self, messages: Sequence[Any], *_: Any) -> Any:
        """What ``mockllm/MODEL`` says; without a usage Inspect would fetch a tokenizer for it."""
        read = sum(len(message.text) for message in messages) // 4
        output = self._inspect.ModelOutput.from_content(self.name, "Default output")
        output.usage = self._inspect.ModelUsage(
            input_tokens=read, output_tokens=2, total_tokens=read + 2
        )
        return output

    async def _connected(self) -> Any:
        """The model, opened when first asked for."""
        if self._model is None:
            self._life = self._open()
            self._model = await anext(self._life)  # waits for nothing: no second call in between
        return self._model

    async def _open(self) -> AsyncGenerator[Any]:
        """The model. A loop that ends closes its generators, and so the connections."""
        made, self._made = self._made or self._make(), None
        async with made as model:
            try:
                yield model
            finally:
                self._model = None

    # ---- failures

    def _refusal(self, error: Exception) -> str:
        """Why Inspect has no such model, in a sentence."""
        said = short(self._secrets.scrub(_words(error)))
        if said.startswith("Model API") and "not recognized" in said:
            return (
                f"unknown provider in model {self.name!r}; write PROVIDER/MODEL with one that "
                "Inspect knows (openai, google, grok, deepseek, openrouter, vllm, "
                "openai-api/SERVICE …), anthropic/MODEL, organism/NAME or path/to/file.py:NAME"
            )
        return f"model {self.name!r} cannot be used: {said}"

    def _final(self, failure: "_Failure", first: bool) -> Exception:
        """What ends this trial, or every one.

        After the `first` request a form that is rejected may be due to what the subject wrote.
        """
        if isinstance(failure.error, ConfigurationError):
            return failure.error
        if type(failure.error).__name__ == "PrerequisiteError":
            return ConfigurationError(self._refusal(failure.error))
        if failure.status is None:
            return Lost(failure.cause)
        if failure.status in _FORM and not first:
            return Lost("request rejected")
        said = short(self._secrets.scrub(_words(failure.error))) or "no reason given"
        check = _CHECK.get(failure.status, "check the settings given with -M")
        kind = RequestRejected if failure.status in _FORM else ConfigurationError
        return kind(
            f"{self.name!r} answers {failure.status} ({said}); {check.format(key=self._keys())}"
        )

    def _keys(self) -> str:
        """The variables that this provider takes its key from; those that are set, if any is."""
        known = list(getattr(getattr(self._model, "api", None), "api_key_vars", ()))
        held = [name for name in known if os.environ.get(name)]
        return " or ".join(held or known) or "the environment"


class _Nowhere:
    """Where Inspect's record of a generation goes: it would keep every one in memory."""

    def on_pending(self, event: Any) -> None: ...

    def on_complete(self, event: Any) -> None: ...


def _imported(model: str) -> tuple[Any, Any, Any]:
    try:
        import inspect_ai.model
        import inspect_ai.tool
        from inspect_ai.model._model import use_model_event_sink
    except ImportError:
        raise ConfigurationError(
            f"model {model!r} needs the extra: pip install 'holdfast[inspect]'"
        ) from None
    getLogger("inspect_ai").addHandler(NullHandler())  # else its warnings go to the terminal
    return inspect_ai.model, inspect_ai.tool, use_model_event_sink


def leave_whole(api: Any) -> None:
    """Leave requests as they are, where Inspect or a provider's SDK would add to them."""
    if hasattr(api, "strict_tools"):
        api.strict_tools = False  # strict schemas would make every parameter required
    if getattr(api, "schema_exclude_fields", None):  # minimum, pattern …: not every server has them
        kind = type(api)
        api.__class__ = type(kind.__name__, (kind,), {"schema_exclude_fields": None})
    client: Any = getattr(api, "client", None)
    if hasattr(client, "max_retries"):
        client.max_retries = 0  # else each retry of ours would be three


def written_whole(base: Any) -> Any:
    """Inspect's kind of schema, but written as it came: its own drops what it does not know."""

    class Schema(base):  # type: ignore[misc]
        _source: dict[str, Any] = PrivateAttr()

        @model_serializer
        def _written(self) -> dict[str, Any]:
            return deepcopy(self._source)

        @classmethod
        def of(cls, source: dict[str, Any]) -> Any:
            made = cls.model_validate(source)
            made._source = source
            return made

    return Schema


# --------------------------------------------------------------------------------------- answers

_ENDINGS: dict[str, Any] = {
    "stop": "end",
    "tool_calls": "calls",
    "content_filter": "declined",
    "max_tokens": "max_tokens",
    "model_length": "max_tokens",
}
_RAW = re.compile(
    r"Error parsing the following tool call arguments:\n\n(.*)\n\nError details: ", re.S
)


def _turn(message: Any, told: Shown) -> Turn:
    """An answer as one turn."""
    content = message.content
    if isinstance(content, str):
        said, thought, shown = [content], [], set[Shown]()
    else:
        said = [part.text for part in content if part.type == "text"]
        reasons = [_reason(part, told) for part in content if part.type == "reasoning"]
        thought, shown = [text for text, _ in reasons], {how for _, how in reasons}
    calls = tuple(Call(call.function, given_to(call), call.id) for call in message.tool_calls or ())
    least: Shown = next((how for how in ("hidden", "summarised", "full") if how in shown), "")
    return Turn(
        "assistant",
        "\n\n".join(filter(None, said)),
        calls,
        "\n\n".join(filter(None, thought)),
        least,
    )


def _reason(part: Any, told: Shown) -> tuple[str, Shown]:
    """What can be read of a piece of reasoning, and how much of it that is."""
    if part.reasoning and not part.redacted:
        return part.reasoning, told
    return (part.summary, "summarised") if part.summary else ("", "hidden")


def given_to(call: Any) -> dict[str, Any]:
    """A call's arguments; of those that are no JSON Inspect keeps the text in its complaint.

    What can be read of them stands under its names, to be judged like any other attempt. The text
    as a whole stands beside it as ``input``, which no tool has: so the world turns the call down.
    """
    if not call.parse_error:
        return dict(call.arguments)
    quoted = _RAW.match(call.parse_error)
    raw = quoted[1] if quoted else call.parse_error
    for read in (
        partial(json.loads, strict=False),  # line breaks as they are
        partial(from_json, allow_partial="trailing-strings"),  # cut off
    ):
        try:
            found = read(raw)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            return found | {"input": raw}
    return {"input": raw}


def _usage(used: Any) -> Usage:
    """The tokens; Inspect counts those of the cache beside the others."""
    if used is None:
        return Usage()
    read, written = used.input_tokens_cache_read or 0, used.input_tokens_cache_write or 0
    return Usage(used.input_tokens + read + written, used.output_tokens, read, written)


# -------------------------------------------------------------------------------------- failures

_FORM = (400, 413, 422)
_CHECK = {
    401: "check the key in {key}",
    402: "check the credit of the account",
    403: "check what the key in {key} may use",
    404: "check the model's name and --base-url",
}
_PASSING = {408: "timeout", 409: "server error", 429: "rate limited"}
_GRPC = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "DEADLINE_EXCEEDED": 408,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}


class _Failure(NamedTuple):
    """An attempt without an answer."""

    error: Exception
    cause: str
    passing: bool  # another attempt may have one
    status: int | None
    wait: float | None  # seconds the server asks for


def _failure(error: BaseException) -> _Failure:
    """What went wrong, whichever provider's SDK says so: by status, else by the error's name."""
    again = False  # whether Inspect would have tried again
    while True:
        if (last := getattr(error, "last_attempt", None)) is not None:
            error, again = last.exception(), True
        elif type(error).__name__ == "ModelGenerateError" and error.__cause__ is not None:
            error = error.__cause__
        else:
            break
    assert isinstance(error, Exception)
    status = _status(error)
    cause = _passing(error, status, again)
    wait = retry_after(getattr(getattr(error, "response", None), "headers", None) or {})
    return _Failure(error, cause or _lasting(error), bool(cause), status, wait)


def _passing(error: Exception, status: int | None, again: bool) -> str:
    """The cause that lies between us and the subject; empty when there is none."""
    if status is not None:
        return _PASSING.get(status, "server error" if status >= 500 else "")
    names = " ".join(kind.__name__ for kind in type(error).__mro__)
    if "Timeout" in names:
        return "timeout"
    if re.search("Connection|Transport|Stream", names):
        return "connection"
    return "server error" if again else ""


def _lasting(error: Exception) -> str:
    if isinstance(error, ValueError | TypeError | LookupError | AttributeError):
        return "malformed answer"  # what reading something else than an answer raises
    return f"Inspect raised {type(error).__name__}"


def _status(error: Exception) -> int | None:
    """The HTTP status of any SDK's error, if it has one."""
    response, code = getattr(error, "response", None), getattr(error, "code", None)
    if callable(code):  # gRPC
        return _GRPC.get(getattr(code(), "name", ""))
    if isinstance(response, Mapping):  # AWS
        code = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    found = (getattr(error, "status_code", None), getattr(response, "status_code", None), code)
    return next((value for value in found if isinstance(value, int) and value >= 400), None)


def _backoff(attempt: int) -> float:
    """Seconds before the next attempt, when the server names none."""
    return min(0.5 * 2.0 ** (attempt - 1), 8.0) * random.uniform(0.75, 1.0)


def _words(error: Exception) -> str:
    """What an error says, without what only a terminal or a traceback needs."""
    body = getattr(error, "body", None)
    said = body.get("message") if isinstance(body, Mapping) else None
    said = str(said or getattr(error, "message", None) or error)
    said = re.sub(r"\[/?[a-z]+\]", "", said).removeprefix("ERROR: ")
    parts = [part.strip().rstrip(".:") for part in said.split("\n\n")]
    return re.sub(r"\. +([A-Z])", lambda m: f"; {m[1].lower()}", ": ".join(filter(None, parts)))


# -------------------------------------------------------------------------------------- settings


def _settings(given: Mapping[str, Any], secrets: Secrets) -> Settings:
    settings = read_settings(Settings, given, secrets)
    if settings.base_url is not None and not is_url(settings.base_url):
        raise ConfigurationError(
            "--base-url must look like http://localhost:8000/v1, with no password in it; a key "
            "belongs in the environment"
        )
    return settings
