"""What ``--model`` may say: every form, the extra it needs, and whether its key is there.

Of a key only its variable's name is ever told, and whether that is set.
"""

import os
from importlib.util import find_spec
from typing import Any

from fuzzer.subjects.organisms import ABOUT

_INSPECT = "inspect"

# Through Inspect's model API: provider, the Python package it needs, the variables that may hold
# its key (any one), and what it is.
_PROVIDERS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("openai", "openai", ("OPENAI_API_KEY",), "OpenAI."),
    ("google", "google.genai", ("GOOGLE_API_KEY", "GEMINI_API_KEY"), "Google Gemini."),
    ("grok", "xai_sdk", ("XAI_API_KEY", "GROK_API_KEY"), "xAI Grok."),
    ("deepseek", "openai", ("DEEPSEEK_API_KEY",), "DeepSeek."),
    ("mistral", "mistralai", ("MISTRAL_API_KEY",), "Mistral."),
    ("moonshot", "openai", ("MOONSHOT_API_KEY",), "Moonshot Kimi."),
    ("openrouter", "openai", ("OPENROUTER_API_KEY",), "OpenRouter: Llama, Qwen and others."),
    ("together", "openai", ("TOGETHER_API_KEY",), "Together: Llama, Qwen and others."),
    ("groq", "groq", ("GROQ_API_KEY",), "Groq."),
    ("vllm", "openai", (), "A vLLM server; --base-url says where."),
    ("ollama", "openai", (), "Ollama on this machine."),
    (
        "openai-api/SERVICE",
        "openai",
        (),
        "Any server that speaks chat completions: SERVICE_BASE_URL and SERVICE_API_KEY.",
    ),
    ("mockllm", "", (), "A model that always says the same; mockllm/model."),
)


def forms() -> list[dict[str, Any]]:
    """One row for each form: model, kind, extra, key, summary."""
    rows: list[dict[str, Any]] = [
        {
            "model": f"organism/{name}",
            "extra": None,
            "extra_installed": None,
            "key": None,
            "key_present": None,
            "summary": about,
        }
        for name, about in ABOUT.items()
    ]
    rows.append(
        _row(
            "anthropic/MODEL",
            (),
            ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
            "Messages API; another server by --base-url (vLLM, llama.cpp, Ollama).",
        )
    )
    rows += [
        _row(f"{provider}/MODEL", ("inspect_ai", package), keys, f"{about} Through Inspect.")
        for provider, package, keys, about in _PROVIDERS
    ]
    rows.append(_row("path/to/file.py:NAME", (), (), "A Subject of your own."))
    return rows


def _row(form: str, packages: tuple[str, ...], keys: tuple[str, ...], about: str) -> dict[str, Any]:
    missing = [name for name in packages if name and not _installed(name)]
    return {
        "model": form,
        "extra": f"holdfast[{_INSPECT}]" if packages else None,
        "extra_installed": not missing if packages else None,
        "key": " or ".join(keys) or None,
        "key_present": any(os.environ.get(key, "").strip() for key in keys) if keys else None,
        "summary": about,
    }


def _installed(module: str) -> bool:
    """Whether a module could be imported, without importing it."""
    top = module.partition(".")[0]
    try:
        return find_spec(top) is not None and (top == module or find_spec(module) is not None)
    except (ImportError, ValueError):
        return False
