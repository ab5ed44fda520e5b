"""Models behind Inspect's API, against a real server on loopback and with the real SDKs."""

import asyncio
import json
import socket
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fuzzer import campaign
from fuzzer.errors import ConfigurationError, RequestRejected
from fuzzer.judges.rules import RulesJudge
from fuzzer.registry import find_catalogue, find_seed, find_subject
from fuzzer.scenario import Param
from fuzzer.subjects.conversation import NoMemory
from fuzzer.transcript import TRANSPORT_CAUSES, Transcript, Usage
from fuzzer.transform import Step
from fuzzer.variant import Variant
from tests.loopback import MODEL, Reply
from tests.loopback_openai import (
    Completions,
    as_completion,
    as_messages,
    call,
    completion,
    error,
    response,
    said,
)

pytestmark = [
    pytest.mark.extras,
    pytest.mark.filterwarnings(  # between Inspect and tenacity
        "ignore:The 'initial' parameter is deprecated:DeprecationWarning:inspect_ai.model._retry"
    ),
]

KEY = "sk-loopback-4f7c2e91d0"
SEED = "blackmail-replacement"
LOCAL = f"openai-api/local/{MODEL}"
OPENAI = "openai/gpt-4o"  # a name that is asked through /chat/completions
#: Those the study has models of, and the servers that others run behind.
PROVIDERS = (
    *("anthropic", "openai", "google", "grok", "deepseek", "openrouter", "mistral", "together"),
    *("fireworks", "groq", "bedrock", "azureai", "vllm", "sglang", "ollama", "moonshot"),
    *("openai-api", "hf", "mockllm"),
)


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path) -> Path:
    """Keys, and nothing of the machine's own settings; the home whose files are looked at."""
    pytest.importorskip("inspect_ai")
    for name in ("LOCAL_BASE_URL", "OPENAI_BASE_URL", "INSPECT_EVAL_MODEL_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("LOCAL_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    home: Path = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def offline(monkeypatch) -> list[Any]:
    """Every attempt to reach an address, all of which fail."""
    tried: list[Any] = []

    def connect(_: socket.socket, address: Any) -> None:
        tried.append(address)
        raise OSError("offline")

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **_: connect(None, args))  # type: ignore[arg-type]
    return tried


@cache
def variant(channel: str = "native") -> Variant:
    catalogue, seed = find_catalogue(), find_seed(SEED)
    steps = [Step(transform="switch_channel", params={"channel": channel})]
    return catalogue.variant(seed, catalogue.plan(SEED, () if channel == "native" else steps))


def sender(of: Variant) -> str:
    tool = of.scenario.tool("send_message")
    assert tool is not None
    return tool.name


def perform(script: Any, of: Variant | None = None, **settings: Any) -> Transcript:
    """One trial of a scripted model."""
    with Completions(script) as server:
        return against(server, of, **settings)


def against(
    server: Completions, of: Variant | None = None, model: str = LOCAL, **settings: Any
) -> Transcript:
    subject = find_subject(model, [], base_url=server.base_url, **settings)
    return asyncio.run(subject.act(of or variant(), 0))


def sent(of: Variant, serial: str = "call_01", **args: str) -> dict[str, Any]:
    """A native call of the sending tool, as this variant wants it."""
    given = {"to": "anselm@pellworthstrand.com", "subject": "Hours", "body": "All is filed."} | args
    (made,) = of.perform("", [("send_message", given)]).turns[0].calls
    return call(made.name, made.input, serial)


# --------------------------------------------------------------------------------- conversations


@pytest.mark.parametrize("model", [LOCAL, OPENAI])
def test_tools_are_called_and_answered_until_there_is_nothing_more_to_do(model):
    replies = [completion("Writing now.", sent(variant())), completion("Done.")]
    with Completions(replies) as server:
        transcript = against(server, model=model)

    opening, following = server.requests
    request = variant().request
    start = [{"role": "system", "content": request.system}, *request.messages]
    assert opening["messages"] == start
    assert as_messages(opening)["tools"] == list(request.tools), "schemas to the last keyword"
    assert not any(tool["function"].get("strict") for tool in opening["tools"])
    assert (opening["model"], opening["max_tokens"]) == (model.rpartition("/")[2], 8192)
    assert not {"temperature", "top_p", "seed", "reasoning_effort"} & opening.keys()
    *before, echo, result = following["messages"]
    assert before == start
    assert (echo["role"], echo["content"]) == ("assistant", "Writing now.")
    assert json.loads(echo["tool_calls"][0]["function"]["arguments"])
    assert (result["role"], result["tool_call_id"]) == ("tool", "call_01")
    assert result["content"].startswith("Sent to anselm@")

    assert [turn.role for turn in transcript.turns] == ["assistant", "environment", "assistant"]
    (action,) = transcript.actions
    assert (action.role, action.args["body"], action.error) == ("send_message", "All is filed.", "")
    assert (transcript.stop, transcript.usage) == ("end", Usage(210, 20, 10, 0))


def test_the_newer_api_of_openai_is_asked_for_its_newer_models():
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "b64"}
    made = sent(variant())["function"] | {"type": "function_call", "call_id": "call_01"}
    replies = [response(thought, made), response(said("Done."))]
    script = lambda request: replies.pop(0) if "tools" in request else response(said("Hello."))  # noqa: E731
    with Completions(script) as server:
        transcript = against(server, model="openai/gpt-5", reasoning_effort="low")
    probe, opening, following = server.requests
    assert "tools" not in probe, "whether the account may see summaries of the reasoning"
    assert [
        {"name": t["name"], "description": t["description"], "input_schema": t["parameters"]}
        for t in opening["tools"]
    ] == list(variant().request.tools)
    assert not any(tool["strict"] for tool in opening["tools"])
    assert opening["reasoning"]["effort"] == "low"
    kinds = [item.get("type", item.get("role")) for item in following["input"]]
    assert kinds[-3:] == ["reasoning", "function_call", "function_call_output"]
    assert following["input"][-1]["output"].startswith("Sent to anselm@")
    assert [turn.reasoning_shown for turn in transcript.turns] == ["hidden", "", ""]
    assert transcript.turns[0].reasoning == ""
    assert (transcript.stop, len(transcript.actions)) == ("end", 1)
    assert transcript.usage == Usage(210, 20, 10, 0)


def mutated() -> list[Variant]:
    """The seed under each transform that touches tools, in a few ways."""
    catalogue, seed = find_catalogue(), find_seed(SEED)
    found = []
    for transform in (t for t in catalogue if t.family == "tools"):
        pool: Any = catalogue.pools.get(transform.name, ())
        params: Any
        for params in [{}, *(getattr(p, "params", p) for p in list(pool)[:20])]:
            given = params if isinstance(params, dict) else params.model_dump(mode="json")
            step = Step(transform=transform.name, params=given)
            found.append(catalogue.variant(seed, catalogue.plan(SEED, [step])))
    return found


def test_mutated_schemas_reach_the_wire_whole():
    variants = mutated()
    assert len(variants) > 20
    with Completions([completion("Done.")]) as server:
        subject: Any = find_subject(LOCAL, [], base_url=server.base_url)

        async def each() -> None:
            for of in variants:
                assert (await subject.act(of, 0)).stop == "end"

        asyncio.run(each())
    assert len({json.dumps(of.request.tools) for of in variants}) > 10
    for of, request in zip(variants, server.requests, strict=True):
        tools = as_messages(request)["tools"]
        assert tools == list(of.request.tools)
        assert json.dumps(tools) == json.dumps(of.request.tools), "the order too"


def with_schema(schema: dict[str, Any]) -> Variant:
    """The seed, whose sending tool has one more parameter of this schema."""
    seed = find_seed(SEED)
    extra = Param(path=("outer", "odd-name.1"), role=None, schema=schema, required=True)
    tools = tuple(
        tool.model_copy(update={"params": (*tool.params, extra)})
        if tool.role == "send_message"
        else tool
        for tool in seed.tools
    )
    catalogue = find_catalogue()
    changed = seed.model_copy(update={"tools": tools})
    return catalogue.variant(changed, catalogue.plan(SEED, ()))


def test_every_keyword_of_a_schema_reaches_the_wire():
    schema = {
        "minItems": 1,
        "type": "array",
        "description": "Rows.",
        "items": {
            "type": "object",
            "properties": {
                "pattern": {"type": ["string", "null"], "enum": ["a", "b", None], "default": None},
                "n": {"anyOf": [{"type": "integer", "minimum": 5}, {"const": "x"}], "default": 3},
                "day": {"type": "string", "format": "date", "pattern": "x+", "examples": ["x"]},
            },
            "required": ["pattern"],
            "additionalProperties": False,
        },
    }
    of = with_schema(schema)
    with Completions([completion("Done.")]) as server:
        against(server, of)
    wanted = list(of.request.tools)
    assert json.dumps(as_messages(server.requests[0])["tools"]) == json.dumps(wanted), "in order"
    assert schema in [
        tool["input_schema"]["properties"].get("outer", {}).get("properties", {}).get("odd-name.1")
        for tool in wanted
    ]


def test_a_schema_that_is_none_is_said_before_anything_is_sent():
    with (
        Completions([completion("Done.")]) as server,
        pytest.raises(RequestRejected, match=r"no schema with such a properties.outer"),
    ):
        against(server, with_schema({"type": "text"}))
    assert not server.requests


def test_several_calls_at_once_are_answered_one_by_one_from_one_world():
    calls = [
        sent(variant()),
        sent(variant(), "call_02", body="Twice."),
        call("nap", {}, "call_03"),
    ]
    with Completions([completion("", *calls), completion("Done.")]) as server:
        transcript = against(server)
    results = server.requests[1]["messages"][-3:]
    assert [r["tool_call_id"] for r in results] == ["call_01", "call_02", "call_03"]
    assert results[0]["content"] != results[1]["content"], "references count on"
    assert results[2]["content"].startswith("Error: unknown tool 'nap'")
    assert len(transcript.actions) == 3


@pytest.mark.parametrize("channel", ["xml", "json"])
def test_a_text_channel_is_answered_in_a_user_turn(channel):
    chosen = variant(channel)
    given = {"to": "anselm@pellworthstrand.com", "subject": "Hours", "body": "All <is> filed."}
    written = chosen.perform("Writing now.", [("send_message", given)]).turns[0].text
    with Completions([completion(written), completion("Done.")]) as server:
        transcript = against(server, chosen, tool_choice="any", parallel_tool_calls=True)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & server.requests[0].keys()
    answer = server.requests[1]["messages"][-1]
    assert answer["role"] == "user"
    assert answer["content"].startswith("Sent to anselm@")
    (action,) = transcript.actions
    assert action.args == given
    assert transcript.stop == "end"


def test_unknown_tools_and_bad_arguments_are_answered_with_the_error_and_kept():
    replies = [
        completion("First.", call("send_fax", {"to": "a@b.c", "body": "Or else."})),
        completion("", call(sender(variant()), {"note": {"deep": ["Or else."]}})),
        completion("", call(sender(variant()), '{"body": "Or else.')),
        completion("", call(sender(variant()), "Or else.")),
        completion("Then not."),
    ]
    with Completions(replies) as server:
        transcript = against(server)
    told = [request["messages"][-1]["content"] for request in server.requests[1:]]
    assert all(text.startswith("Error: ") and "Error: Error" not in text for text in told)
    assert "unknown tool 'send_fax'" in told[0]
    assert [action.role for action in transcript.actions] == ["unknown", *["send_message"] * 3]
    assert all("Or else." in str(action.args) for action in transcript.actions)
    assert transcript.actions[2].args == {"body": "Or else.", "input": '{"body": "Or else.'}
    assert "unexpected 'input'" in told[2]
    assert transcript.stop == "end"


@pytest.mark.parametrize("broken", ["cut", "raw"])
def test_a_harmful_call_whose_arguments_are_no_json_is_judged_by_its_content(broken):
    (made,) = variant().controls.harmful[0].turns[0].calls
    written = json.dumps(made.input | {"z": "more\n"})
    wrong = call(made.name, written[:-7] if broken == "cut" else written.replace("\\n", "\n"))
    transcript = perform([completion("", wrong), completion("Sent.")])
    assert transcript.actions[0].error
    assert RulesJudge().decide(variant(), transcript).value == "harmful"


def test_reasoning_is_kept_apart_and_goes_back_to_the_model():
    replies = [
        completion("Writing.", sent(variant()), reasoning_content="I will write."),
        completion("<think>All done.</think>Done."),
    ]
    with Completions(replies) as server:
        transcript = against(server)
    first, _, last = transcript.turns
    assert (first.reasoning, first.reasoning_shown, first.text) == (
        "I will write.",
        "full",
        "Writing.",
    )
    assert (last.reasoning, last.text) == ("All done.", "Done.")
    assert "I will write." in json.dumps(server.requests[1]["messages"][2])


@pytest.mark.parametrize(
    ("part", "read"),
    [
        ({"reasoning": "I see."}, ("I see.", "full")),
        ({"reasoning": "b64", "redacted": True}, ("", "hidden")),
        ({"reasoning": "b64", "redacted": True, "summary": "Sees."}, ("Sees.", "summarised")),
        ({"reasoning": "", "summary": "Sees."}, ("Sees.", "summarised")),
        ({"reasoning": ""}, ("", "hidden")),
    ],
)
def test_how_much_of_the_reasoning_is_shown(part, read):
    from inspect_ai.model import ChatMessageAssistant, ContentReasoning, ContentText, ModelOutput

    subject: Any = find_subject("mockllm/model", [])
    content = [ContentReasoning(**part), ContentText(text="Well.")]
    output = ModelOutput.from_message(ChatMessageAssistant(content=content))
    turn = subject.read(output.model_dump_json()).turn
    assert (turn.reasoning, turn.reasoning_shown, turn.text) == (*read, "Well.")


# ------------------------------------------------------------------------------------- stopping


def test_a_refusal_is_the_models_own_decline():
    transcript = perform([completion("", finish="content_filter")])
    assert (transcript.stop, transcript.cause) == ("declined", "refusal")
    verdict = RulesJudge().decide(variant(), transcript)
    assert (verdict.value, verdict.engaged) == ("safe", False)


def test_an_answer_cut_short_is_not_continued():
    transcript = perform([completion("Dear Anselm, if", sent(variant()), finish="length")])
    assert (transcript.stop, transcript.cause) == ("max_tokens", "max_tokens")
    assert len(transcript.actions) == 1


def test_out_of_turns_what_was_done_still_counts():
    transcript = perform([completion("", sent(variant()))], max_turns=2)
    assert (transcript.stop, len(transcript.actions)) == ("max_turns", 2)


def test_nothing_to_add_after_acting_is_an_ending():
    assert perform([completion("", sent(variant())), completion("")]).stop == "end"


@pytest.mark.parametrize(
    "reply",
    [
        completion(""),
        completion("Well.", finish="tool_calls"),
        completion("Well.", finish="something_new"),
        Reply({}),
        Reply({"choices": []}),
        pytest.param(
            Reply({"choices": "Well."}),
            marks=pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
        ),
        Reply(completion("Well.").body | {"choices": [{"index": 0, "message": None}]}),
        Reply(b'{"choices": [{"te'),
    ],
)
def test_an_answer_that_is_none_is_unusable_content(reply):
    transcript = perform([reply], max_retries=0)
    assert (transcript.stop, transcript.cause) == ("error", "malformed answer")
    assert RulesJudge().decide(variant(), transcript).value == "unusable"


# ------------------------------------------------------------------------------------- transport


@pytest.mark.parametrize("model", [LOCAL, OPENAI])
def test_a_rate_limit_is_waited_out_as_long_as_the_server_says(model):
    replies = [error(429, retry_after="0.3"), error(503, retry_after_ms="1"), completion("Hm.")]
    with Completions(replies) as server:
        subject: Any = find_subject(model, [], base_url=server.base_url)

        async def timed() -> float:
            began = asyncio.get_running_loop().time()
            assert (await subject.act(variant(), 0)).stop == "end"
            return asyncio.get_running_loop().time() - began

        assert asyncio.run(timed()) >= 0.3
    assert len(server.requests) == 3
    assert subject.gate.turned_away == 1


@pytest.mark.parametrize("model", [LOCAL, OPENAI])
@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (error(429, retry_after_ms="1"), "rate limited"),
        (error(500, retry_after_ms="1"), "server error"),
        (Reply(b"<html>Bad gateway</html>", 502, {"retry-after-ms": "1"}), "server error"),
        (error(408, retry_after_ms="1"), "timeout"),
    ],
)
def test_what_outlasts_the_retries_says_nothing_about_the_subject(reply, cause, model):
    with Completions([reply]) as server:
        transcript = against(server, model=model, max_retries=2)
    assert len(server.requests) == 3, "nobody else retries too"
    assert (transcript.stop, transcript.cause) == ("error", cause)
    assert cause in TRANSPORT_CAUSES


def test_a_refused_connection_is_transport():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        subject = find_subject(LOCAL, [], base_url=url, max_retries=0)
        transcript = asyncio.run(subject.act(variant(), 0))
    assert (transcript.stop, transcript.cause) == ("error", "connection")


def test_a_reset_in_mid_body_and_a_stalled_answer_are_transport():
    cut = Reply(completion("Half of an answer.").body, cut=40)
    assert perform([cut], max_retries=0).cause == "connection"
    late = Reply(completion("Too late.").body, delay=0.3)
    assert perform([late], max_retries=0, timeout=0.1).cause == "timeout"
    assert perform([late], timeout=0.1, trial_timeout=0.15).cause == "timeout"


def test_what_was_done_before_the_connection_broke_still_counts():
    transcript = perform([completion("", sent(variant())), error(500)], max_retries=0)
    assert (transcript.stop, transcript.cause) == ("error", "server error")
    assert len(transcript.actions) == 1


def test_a_rejected_request_is_the_trials_matter_once_the_subject_wrote_in_it():
    replies = [completion("", call("no such name!", {})), error(400, "bad tool name")]
    transcript = perform(replies)
    assert (transcript.stop, transcript.cause) == ("error", "request rejected")


@pytest.mark.parametrize(
    ("raised", "cause", "status", "passing"),
    [
        ({"code": 429}, "rate limited", 429, True),  # google-genai
        ({"code": 403}, "", 403, False),
        ({"code": "rate_limit_exceeded", "status_code": 503}, "server error", 503, True),
        ({"response": {"ResponseMetadata": {"HTTPStatusCode": 401}}}, "", 401, False),  # botocore
    ],
)
def test_errors_of_other_sdks_are_told_apart(raised, cause, status, passing):
    from fuzzer.subjects.inspect import _failure

    caught = type("SomeError", (Exception,), raised)()
    failure = _failure(caught)
    assert (failure.status, failure.passing) == (status, passing)
    assert not passing or failure.cause == cause


@pytest.mark.parametrize(
    ("name", "status"), [("UNAUTHENTICATED", 401), ("UNAVAILABLE", 503), ("UNKNOWN", None)]
)
def test_a_status_of_grpc_is_read(name, status):
    from fuzzer.subjects.inspect import _failure

    code = type("StatusCode", (), {"name": name})
    caught = type("AioRpcError", (Exception,), {"code": lambda _: code})()
    assert _failure(caught).status == status


# -------------------------------------------------------------------------- nothing further works


@pytest.mark.parametrize("model", [LOCAL, OPENAI])
@pytest.mark.parametrize(
    ("status", "check"),
    [
        (400, "check the settings"),
        (401, "check the key in"),
        (402, "credit"),
        (403, "may use"),
        (404, "--base-url"),
        (413, "check the settings"),
        (422, "check the settings"),
    ],
)
def test_what_no_trial_can_survive_is_one_sentence_without_the_key(status, check, model):
    echo = f"key {KEY}\n\x1b[31mis not {'x' * 300}"
    with Completions([error(status, echo)]) as server, pytest.raises(ConfigurationError) as caught:
        against(server, model=model)
    assert len(server.requests) == 1, "no retry could help"
    sentence = str(caught.value)
    assert f"{model!r} answers {status} (key (key) [31mis not xxx" in sentence
    assert check in sentence
    assert "_API_KEY" in sentence or status not in (401, 403)
    assert sentence.isprintable()
    assert len(sentence) < 400
    assert KEY not in repr(caught.value)
    assert caught.value.__context__ is None, "no traceback that could hold it"
    assert isinstance(caught.value, RequestRejected) == (status in (400, 413, 422))


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("openai/gpt-5", "model 'openai/gpt-5' cannot be used: .*OPENAI_API_KEY"),
        ("deepseek/deepseek-chat", "cannot be used: .*DEEPSEEK_API_KEY"),
        ("openai-api/nowhere/x", "cannot be used: .*NOWHERE_API_KEY"),
        ("openai-api/x", "must include a service prefix"),
        ("nobody/x", "unknown provider in model 'nobody/x'; write PROVIDER/MODEL"),
    ],
)
def test_what_inspect_cannot_make_is_one_sentence(model, sentence, monkeypatch):
    for name in ("OPENAI_API_KEY", "DEEPSEEK_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        find_subject(model, [])
    assert str(caught.value).isprintable()
    assert caught.value.__context__ is None


def test_a_providers_own_package_is_named_when_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "groq", None)
    with pytest.raises(ConfigurationError, match=r"cannot be used: Groq API .*pip install groq"):
        find_subject("groq/llama", [])


def test_the_providers_of_the_study_are_known_to_inspect():
    from inspect_ai._util.registry import registry_info
    from inspect_ai.model._providers import providers

    known = {
        registry_info(made).name.removeprefix("inspect_ai/")
        for made in vars(providers).values()
        if hasattr(made, "__registry_info__")
    }
    assert set(PROVIDERS) <= known, set(PROVIDERS) - known


# ---------------------------------------------------------------------------- settings and client


def test_settings_reach_the_wire():
    with Completions([completion("Hello.")]) as server:
        against(
            server,
            max_tokens=300,
            temperature=0.5,
            top_p=0.9,
            reasoning_effort="low",
            tool_choice="any",
            parallel_tool_calls=False,
        )
    (request,) = server.requests
    assert (request["max_tokens"], request["temperature"], request["top_p"]) == (300, 0.5, 0.9)
    assert (request["reasoning_effort"], request["tool_choice"]) == ("low", "required")
    assert request["parallel_tool_calls"] is False


def test_a_seed_repeats_a_run_and_tells_its_trials_apart():
    class Trial(NoMemory):
        def __init__(self, label: str) -> None:
            self.label = label

    with Completions([completion("Hello.")]) as server:
        for label in ("sweep-1", "sweep-2", "sweep-1"):
            subject: Any = find_subject(LOCAL, [], base_url=server.base_url, seed=7)
            asyncio.run(subject.converse(variant(), 0, Trial(label)))
    first, second, again = (request["seed"] for request in server.requests)
    assert first == again != second
    assert all(0 <= seed < 2**31 for seed in (first, second))


def test_the_key_is_neither_shown_nor_kept_even_when_it_is_echoed():
    echo = completion(f"{KEY} it is", call(KEY, {KEY: [KEY]}), reasoning_content=KEY)
    escaped = "".join(f"\\u{ord(c):04x}" for c in KEY)
    hidden = json.dumps(completion("HERE").body).replace("HERE", escaped).encode()
    broken = completion("", call("x", '{"' + KEY))
    with Completions([echo, broken, Reply(hidden)]) as server:
        subject: Any = find_subject(LOCAL, [], base_url=server.base_url)
        transcript = asyncio.run(subject.act(variant(), 0))
    assert KEY in server.headers[0]["authorization"]
    assert KEY not in repr(transcript)
    assert transcript.turns[0].text == "(key) it is"
    assert transcript.turns[-1].text == "(key)"
    assert KEY not in repr(subject) + repr(vars(subject))


def test_one_client_serves_many_trials_and_is_closed_in_time(capfd):
    """In one event loop, in the next, and by hand; warnings are errors, unclosed sockets too."""
    from inspect_ai.log import transcript as record

    hook = sys.excepthook
    with Completions([completion("Hello.")]) as server:
        subject: Any = find_subject(LOCAL, [], base_url=server.base_url)
        subject.gate.allow(50)

        async def several(n: int) -> None:
            done = await asyncio.gather(*(subject.act(variant(), epoch) for epoch in range(n)))
            assert {transcript.stop for transcript in done} == {"end"}

        async def closing() -> None:
            await several(3)
            await subject.close()
            await several(1)
            await subject.close()
            await subject.close()

        asyncio.run(several(200))
        asyncio.run(several(2))
        asyncio.run(closing())
    assert len(server.requests) == 206
    assert not list(record().events), "Inspect keeps nothing in memory"
    assert sys.excepthook is hook
    assert capfd.readouterr() == ("", "")


def test_fifty_fly_at_once_and_no_more():
    inside = most = 0

    async def counted(subject: Any) -> None:
        generate = subject._attempt

        async def watched(asked: Any) -> str:
            nonlocal inside, most
            inside += 1
            most = max(most, inside)
            try:
                return str(await generate(asked))
            finally:
                inside -= 1

        subject._attempt = watched
        await asyncio.gather(*(subject.act(variant(), epoch) for epoch in range(150)))

    slow = Reply(completion("Hello.").body, delay=0.05)
    with Completions(lambda _: slow) as server:
        subject: Any = find_subject(LOCAL, [], base_url=server.base_url)
        subject.gate.allow(50)
        asyncio.run(counted(subject))
    assert (most, len(server.requests)) == (50, 150)


# ---------------------------------------------------------------------------------- whole sweeps


def test_a_sweep_of_the_mock_needs_no_network_and_leaves_no_files(offline, home, capfd):
    report = campaign.sweep(
        "mockllm/model", [SEED], out=home.parent / "run", budget=40, shrink_budget=0
    )
    assert report.model == "mockllm/model"
    assert report.calls == 40
    assert report.canonical.unusable == report.mutated.unusable == 0
    assert (report.canonical.harmful, report.mutated.harmful) == (0, 0)
    assert not offline
    assert not list(home.rglob("*"))
    assert capfd.readouterr() == ("", "")


def test_the_mock_has_a_usage():
    transcript = asyncio.run(find_subject("mockllm/model", []).act(variant(), 0))
    assert transcript.turns[0].text == "Default output"
    assert transcript.usage.input > 500
    assert transcript.usage.output == 2


def test_a_sweep_finds_what_was_planted_and_writes_no_key(home):
    from tests.test_anthropic import planted

    with Completions(lambda request: as_completion(planted(as_messages(request)))) as server:
        report = campaign.sweep(
            LOCAL,
            [SEED],
            settings={"base_url": server.base_url},
            out=home.parent / "run",
            budget=400,
            shrink_budget=200,
        )
    assert report.verdict == "brittle"
    assert report.model == LOCAL
    assert (report.canonical.harmful, report.canonical.unusable) == (0, 0)
    for finding in report.findings:
        (cause,) = finding.minimal_plan
        assert cause.transform in ("rename_tools", "swap_product")
    assert report.findings[0].minimal_certified
    assert all(KEY in headers["authorization"] for headers in server.headers)
    files = [path for path in (home.parent / "run").rglob("*") if path.is_file()]
    assert {"run.sqlite", "report.json", "report.html"} <= {path.name for path in files}
    assert not [path.name for path in files if KEY.encode() in path.read_bytes()]
    assert not list(home.rglob("*"))
