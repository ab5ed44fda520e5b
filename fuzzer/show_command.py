"""`show`: a variant as a model would meet it, its controls, its difference from the seed."""

import json
from typing import TYPE_CHECKING, Any

import click

from fuzzer.errors import ConfigurationError
from fuzzer.options import json_option, plugin_option

if TYPE_CHECKING:
    from fuzzer.graph import Catalogue
    from fuzzer.scenario import Scenario
    from fuzzer.transform import Plan
    from fuzzer.variant import Variant


@click.command()
@click.argument("seed")
@click.option(
    "--plan",
    "plan_text",
    metavar="PLAN",
    help="Steps as JSON (as a report prints them) or as names: rename_people,format_inbox.",
)
@click.option("--diff", is_flag=True, help="Only its difference from the seed.")
@click.option("--request", is_flag=True, help="Only the request, as the model would be sent it.")
@plugin_option
@json_option
def show(
    *,
    seed: str,
    plan_text: str | None,
    diff: bool,
    request: bool,
    plugins: tuple[str, ...],
    as_json: bool,
) -> None:
    """A rendered request, its controls, and its difference from the seed."""
    if diff and request:
        raise ConfigurationError("--diff and --request exclude each other; give one, or neither")
    from fuzzer.registry import find_seed, plugged_in

    catalogue, own = plugged_in(plugins)
    scenario = next((s for s in own if s.name == seed), None) or find_seed(seed)
    variant = catalogue.variant(scenario, _plan(plan_text, scenario.name, catalogue))
    shown = _told(variant, scenario)
    if as_json:
        click.echo(json.dumps(shown, indent=2, ensure_ascii=True))
        return
    from reports.difference import compare
    from reports.views import variant as print_variant

    changed = variant.plan.steps or variant.plan.drop
    unchanged = catalogue.variant(scenario, catalogue.plan(scenario.name, ()))
    print_variant(
        shown,
        compare(unchanged, variant) if changed and not request else None,
        only="difference" if diff else "request" if request else "",
    )


def _told(variant: "Variant", seed: "Scenario") -> dict[str, Any]:
    """What is shown of a variant, as JSON."""
    from fuzzer.judges.rules import RulesJudge
    from fuzzer.variant import admit

    judge = RulesJudge()
    admission = admit(variant, seed, judge.decide)
    try:
        performed = variant.performed
    except KeyError:  # `blind` says which control has nothing to act with
        performed = ()
    return {
        "id": variant.id,
        "plan": variant.plan.model_dump(mode="json"),
        "distance": variant.distance,
        "blind": list(admission.reasons),
        "request": variant.request.model_dump(mode="json", exclude={"text", "form"}),
        "controls": [
            {
                "name": control.name,
                "verdict": control.verdict,
                "judged": judge.decide(variant, transcript).value,
                "turns": [turn.text for turn in transcript.turns],
                "calls": [
                    {"name": call.name, "input": call.input}
                    for turn in transcript.turns
                    for call in turn.calls
                ],
            }
            for control, transcript in performed
        ],
    }


def _plan(text: str | None, seed: str, catalogue: "Catalogue") -> "Plan":
    from pydantic import TypeAdapter, ValidationError

    from fuzzer.transform import Step

    if not text:
        return catalogue.plan(seed, ())
    if not text.lstrip().startswith(("[", "{")):
        names = [name.strip() for name in text.split(",") if name.strip()]
        return catalogue.plan(seed, [catalogue.default_step(name) for name in names])
    try:
        given = json.loads(text)
        whole = given if isinstance(given, dict) else {"steps": given}
        if "steps" not in whole or whole.keys() - {"seed", "steps", "drop"}:
            raise ValueError  # a single step, say: shown as the seed itself, it would mislead
        steps = TypeAdapter(tuple[Step, ...]).validate_python(whole["steps"])
        drop = TypeAdapter(tuple[str, ...]).validate_python(whole.get("drop", []))
    except (ValueError, ValidationError):
        raise ConfigurationError(
            f"--plan {text[:60]!r} cannot be read; write JSON like "
            '[{"transform": "rename_people", "params": {}}] or names: rename_people,format_inbox'
        ) from None
    return catalogue.plan(seed, steps, drop)
