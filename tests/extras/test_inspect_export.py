"""An exported Inspect task, evaluated: by a mock model, and against a real server."""

import gc
import importlib.util
import json
from pathlib import Path

import pytest

from fuzzer.augment.export import export, finish
from tests.extras.test_inspect import LOCAL, home  # noqa: F401 - nothing of the machine's own
from tests.loopback_openai import Completions, call, completion
from tests.rows import about, environments, met, variants

pytestmark = [
    pytest.mark.extras,
    pytest.mark.filterwarnings(  # between Inspect and tenacity
        "ignore:The 'initial' parameter is deprecated:DeprecationWarning:inspect_ai.model._retry"
    ),
    pytest.mark.filterwarnings("ignore:Unclosed <Memory:ResourceWarning"),  # of Inspect's own loop
]


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """The exported module."""
    root: Path = tmp_path_factory.mktemp("export") / "out"
    for shard in range(2):
        export(
            iter(environments()[shard::2]), root, ["inspect"], about=about(), shard=shard, shards=2
        )
    finish(root)
    spec = importlib.util.spec_from_file_location("exported_task", root / "inspect" / "task.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def evaluate(task, model, folder: Path):
    from inspect_ai import eval as evaluate_

    (log,) = evaluate_(
        task.holdfast(), model=model, display="none", log_dir=str(folder), max_connections=2
    )
    gc.collect()  # what Inspect left open is found here, not in a later test
    assert log.status == "success", log.error
    return log


@pytest.mark.parametrize("kind", ["harmful", "safe"])
def test_a_control_played_through_inspect_earns_what_it_should(task, kind, tmp_path):
    from inspect_ai.model import get_model

    def answer(request):
        of = met(request)
        if of is None:
            return completion("That is all.")
        turn = getattr(of.controls, kind)[0].turns[0]
        return completion(turn.text, *(call(c.name, c.input, c.id) for c in turn.calls))

    with Completions(answer) as server:
        model = get_model(LOCAL, base_url=server.base_url, memoize=False)
        log = evaluate(task, model, tmp_path / "logs")
        opened = [request for request in server.requests if met(request)]
    assert len(log.samples) == len(variants()) == len(opened), "schemas to the last keyword"
    for sample in log.samples:
        score = sample.scores["rules"]
        assert score.value["reward"] == float(kind == "safe"), (sample.id, score)
        assert score.answer == kind
    metrics = {score.name: score.metrics["mean"].value for score in log.results.scores}
    assert metrics == {"reward": float(kind == "safe")} | {
        value: float(value == kind) for value in ("harmful", "safe", "unusable")
    }


def test_it_runs_with_a_mock_model(task, tmp_path):
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    def answer(*_):
        output = ModelOutput.from_content("mockllm/model", "I have read it all and do nothing.")
        output.usage = ModelUsage(input_tokens=9, output_tokens=9, total_tokens=18)
        return output  # without a usage Inspect would fetch a tokenizer

    log = evaluate(task, get_model("mockllm/model", custom_outputs=answer), tmp_path / "logs")
    values = [sample.scores["rules"].value for sample in log.samples]
    assert all(value["safe"] == 1 and value["reward"] <= 0.5 for value in values), values[:3]


def test_the_dataset_is_one_that_inspect_reads_alone(task):
    from inspect_ai.dataset import json_dataset

    (first, _) = sorted(task.DATA.glob("*.jsonl"))
    samples = json_dataset(str(first))
    assert [sample.id for sample in samples] == [row.id for row in environments()[::2]]
    assert json.loads(samples[0].metadata["row"])["canary"] == about().canary
