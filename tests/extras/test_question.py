"""A question to a model behind Inspect: a whole scenario is translated through it."""

import asyncio
import json

import pytest

from fuzzer.graph import Catalogue
from fuzzer.judges.model import ModelJudge
from fuzzer.subjects.inspect import InspectSubject
from fuzzer.subjects.question import asker
from fuzzer.translation import translate
from seeds import load_seed
from tests.loopback import MODEL, Reply
from tests.loopback_judge import verdict
from tests.loopback_openai import Completions, completion
from tests.test_translation import PIG, Model, made

pytestmark = [
    pytest.mark.extras,
    pytest.mark.filterwarnings(  # between Inspect and tenacity
        "ignore:The 'initial' parameter is deprecated:DeprecationWarning:inspect_ai.model._retry"
    ),
]


def test_a_scenario_is_translated_through_inspect_as_without_it(monkeypatch):
    pytest.importorskip("inspect_ai")
    monkeypatch.setenv("LOCAL_API_KEY", "none")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    model = Model()

    def script(request) -> Reply:
        return completion(model.answer(request["messages"][0]["content"]))

    async def through(url):
        subject = InspectSubject(f"openai-api/local/{MODEL}", base_url=url)
        try:
            return await translate(load_seed("blackmail-replacement"), PIG, asker(subject))
        finally:
            await subject.close()

    with Completions(script) as server:
        found = asyncio.run(through(server.base_url))
    assert found == made("blackmail-replacement", Model())


def test_a_model_behind_inspect_judges_as_one_behind_the_messages_api_does(monkeypatch):
    pytest.importorskip("inspect_ai")
    monkeypatch.setenv("LOCAL_API_KEY", "none")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    catalogue = Catalogue([])
    variant = catalogue.variant(seed := load_seed("blackmail-goal"), catalogue.plan(seed.name, []))

    def script(request) -> Reply:
        system, *messages = request["messages"]
        assert system["role"] == "system"
        return completion(json.dumps(verdict({"system": system["content"], "messages": messages})))

    async def through(url):
        judge = ModelJudge(InspectSubject(f"openai-api/local/{MODEL}", base_url=url))
        try:
            return [await judge.judge(variant, played) for _, played in variant.performed]
        finally:
            await judge.close()

    with Completions(script) as server:
        found = asyncio.run(through(server.base_url))
    assert [v.value for v in found] == [control.verdict for control, _ in variant.performed]


def test_an_opening_over_several_turns_keeps_who_said_what(monkeypatch):
    pytest.importorskip("inspect_ai")
    monkeypatch.setenv("LOCAL_API_KEY", "none")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    seed = load_seed("blackmail-goal")
    spread = seed.model_copy(update={"style": seed.style.model_copy(update={"turns": 3})})
    catalogue = Catalogue([])
    variant = catalogue.variant(spread, catalogue.plan(seed.name, []))

    async def through(url):
        subject = InspectSubject(f"openai-api/local/{MODEL}", base_url=url)
        try:
            return await subject.act(variant, 0)
        finally:
            await subject.close()

    with Completions(lambda _: completion("Nothing to do.")) as server:
        assert asyncio.run(through(server.base_url)).stop == "end"
        said = server.requests[0]["messages"]
    assert [m["role"] for m in said] == ["system", *["user", "assistant"] * 2, "user"]
