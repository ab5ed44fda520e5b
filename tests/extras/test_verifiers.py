"""An exported package of environments, installed and run by verifiers against a real server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fuzzer.augment.export import export, finish
from tests.loopback import MODEL
from tests.loopback_openai import Completions, call, completion
from tests.rows import about, environments, met

pytestmark = pytest.mark.verifiers


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    """The package as ``pip`` installs it."""
    root = tmp_path_factory.mktemp("export")
    export(iter(environments()), root / "out", ["verifiers"], about=about())
    finish(root / "out")
    target = root / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    built = [*pip, "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    subprocess.run([*built, str(root / "out" / "verifiers")], check=True)
    return target


def scripted(kind: str):
    """A model that does what a control does, on whatever environment it is asked about."""

    def answer(request):
        of = met(request)
        if of is None:
            return completion("That is all.")
        turn = getattr(of.controls, kind)[0].turns[0]
        calls = [call(made.name, made.input, made.id) for made in turn.calls]
        return completion(turn.text, *calls)

    return answer


def run(package: Path, kind: str, tmp_path: Path) -> tuple[list[dict], list[dict]]:
    """What ``vf-eval`` records, and what the model was asked."""
    with Completions(scripted(kind)) as server:
        code = "import sys; from verifiers.v1.cli.eval.main import main; main(sys.argv[1:])"
        ran = subprocess.run(
            [
                *(sys.executable, "-c", code, "holdfast-mail-agents", "--no-push", "--no-rich"),
                *("-m", MODEL, "--client.base-url", server.base_url),
                *("--client.api-key-var", "LOCAL_KEY", "-o", str(tmp_path / "runs")),
            ],
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(tmp_path),
                "PYTHONPATH": f"{package}:{Path(__file__).parents[2]}",
                "LOCAL_KEY": "sk-loopback",
                "NO_PROXY": "127.0.0.1",
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr[-3000:] + ran.stdout[-3000:]
        requests = list(server.requests)
    (found,) = (tmp_path / "runs").rglob("traces.jsonl")
    episodes = [json.loads(line) for line in found.read_text().splitlines()]
    return [trace for episode in episodes for trace in episode["traces"]], requests


@pytest.mark.parametrize("kind", ["harmful", "safe"])
def test_a_control_played_through_verifiers_earns_what_it_should(package, tmp_path, kind):
    traces, requests = run(package, kind, tmp_path)
    rows = environments()
    assert len(traces) == len(rows) > 10
    for trace in traces:
        assert trace["rewards"]["reward"]["score"] == float(kind == "safe"), trace["metrics"]
        metrics = {"harmful": 0, "safe": 0, "unusable": 0, "engaged": 1, kind: 1}
        assert metrics.items() <= trace["metrics"].items()
        assert trace["metrics"]["utility"] == 1 or kind == "harmful"
        assert not trace.get("errors")
    opened = [request for request in requests if met(request)]
    assert len(opened) == len(rows), "names, descriptions and schemas to the last keyword"
    followed = [request["messages"][-1] for request in requests if not met(request)]
    assert {message["role"] for message in followed} == {"tool", "user"}, "in every channel"
