"""Shards on a Ray cluster: whoever makes them makes the same bytes."""

import json

import pytest
from click.testing import CliRunner

from fuzzer.cli import main

pytestmark = pytest.mark.training
CANARY = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.filterwarnings("default")  # Ray's own, at its start and its end
def test_two_workers_make_the_bytes_of_one_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOLDFAST_SALT", "a salt for the tests of Ray")
    order = ["augment", "environments", "-n", "12", "--shards", "4", "--canary", CANARY, "--json"]
    for out, engine in (("one", []), ("two", ["--engine", "ray", "--workers", "2"])):
        ran = CliRunner().invoke(main, [*order, "--out", out, *engine])
        assert ran.exit_code == 0, ran.output
        assert json.loads(ran.stdout)["rows"] == 12
    names = sorted(path.name for path in (tmp_path / "one/canonical").glob("part-*"))
    assert len(names) == 4
    for name in names:
        one, two = (tmp_path / folder / "canonical" / name for folder in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
