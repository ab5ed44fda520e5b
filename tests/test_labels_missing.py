"""What is said of Inspect's logs where the extra is not installed."""

import sys

import pytest

from fuzzer.errors import ConfigurationError
from fuzzer.labels import read_labelled


def test_the_sentence_names_the_extra(monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.split(".")[0] == "inspect_ai"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    path = tmp_path / "log.eval"
    path.write_bytes(b"")
    with pytest.raises(ConfigurationError) as caught:
        read_labelled([path])
    assert str(caught.value) == (
        f"{str(path)!r} is read through the extra: pip install 'holdfast[inspect]'"
    )
    assert caught.value.__suppress_context__
