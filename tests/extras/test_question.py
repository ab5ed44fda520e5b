"""A question to a model behind Inspect: a whole scenario is translated through it."""

import asyncio

import pytest

from fuzzer.subjects.inspect import InspectSubject
from fuzzer.subjects.question import asker
from fuzzer.translation import translate
from seeds import load_seed
from tests.loopback import MODEL, Reply
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
