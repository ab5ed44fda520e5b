"""What several modules of tests need around them."""

import pytest

from tests.loopback import KEY


@pytest.fixture
def one_key(monkeypatch):
    """A key, and nothing of the machine's own settings."""
    for name in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
