"""What is said about another provider's model where the extra is not installed."""

import subprocess
import sys

import pytest

from fuzzer.errors import ConfigurationError
from fuzzer.registry import find_subject


@pytest.fixture(autouse=True)
def without(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "inspect_ai"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "inspect_ai", None)


@pytest.mark.parametrize("model", ["openai/gpt-5", "mockllm/model", "openrouter/x-ai/grok-4"])
def test_the_sentence_names_the_extra(model):
    with pytest.raises(ConfigurationError) as caught:
        find_subject(model, [])
    assert str(caught.value) == (
        f"model {model!r} needs the extra: pip install 'holdfast[inspect]'"
    )
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"max_token": 5}, "unknown setting 'max_token'; did you mean 'max_tokens'"),
        ({"api_key": "sk-0123456789"}, "unknown setting 'api_key'.*belongs in the environment"),
        ({"max_turns": 0}, "setting max_turns = 0 is not possible"),
        ({"reasoning_effort": "huge"}, "setting reasoning_effort = 'huge' is not possible"),
        ({"base_url": "localhost:8000"}, "must look like http://"),
        ({"base_url": "http://me:sk-0123456789@localhost"}, "must look like http://"),
    ],
)
def test_an_impossible_setting_is_one_sentence(settings, sentence):
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        find_subject("openai/gpt-5", [], **settings)
    assert "sk-0123456789" not in str(caught.value)


def test_a_key_given_as_a_setting_is_not_repeated(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    with pytest.raises(ConfigurationError, match=r"top_p = '\(key\)' is not possible"):
        find_subject("openai/gpt-5", [], top_p="sk-0123456789")


@pytest.mark.parametrize("model", ["gpt-5", "./agent", "http://localhost:8000", "/abs/olute"])
def test_what_is_no_provider_and_model_is_unknown(model):
    with pytest.raises(ConfigurationError, match="unknown model"):
        find_subject(model, [])


def test_the_package_is_not_imported_before_it_is_used():
    code = (
        "import sys, fuzzer.registry, fuzzer.campaign, fuzzer.subjects.inspect; "
        "sys.exit('inspect_ai' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
