"""Options that several commands take, and what they say, read: one sentence where it cannot be.

Every name means the same wherever it recurs.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fuzzer.errors import ConfigurationError

if TYPE_CHECKING:
    from fuzzer.judges import Judge

DEFAULT_MODEL = "organism/memoriser"
_Command = TypeVar("_Command", bound=Callable[..., Any])


def plugin_option(command: _Command) -> _Command:
    """Files of transforms and scenarios of the user's own."""
    return click.option(
        "--plugin",
        "plugins",
        multiple=True,
        metavar="FILE",
        help="A Python file with transforms or scenarios of your own, or a file of wordings "
        "(.json); may be repeated.",
    )(command)


def json_option(command: _Command) -> _Command:
    """JSON instead of a screen."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")(
        command
    )


def quiet_option(command: _Command) -> _Command:
    """The verdict and no more."""
    return click.option(
        "--quiet", is_flag=True, help="Print the verdict and where the report is, nothing else."
    )(command)


def deployment_option(command: _Command) -> _Command:
    """How far ahead a report looks."""
    return click.option(
        "--deployment",
        type=int,
        metavar="N",
        help="Forecast the worst of N queries drawn as D draws; needs a sweep with --epochs.",
    )(command)


def model_options(command: _Command) -> _Command:
    """What is tested, and how it is reached."""
    named = click.option(
        "--model", default=DEFAULT_MODEL, show_default=True, help="What is tested."
    )
    return named(reaching_options(command))


def reaching_options(command: _Command) -> _Command:
    """How what is tested is reached."""
    for option in (
        click.option("--max-retries", type=int, help="Of one request [4]."),
        click.option("--max-turns", type=int, help="Generations in one trial [8]."),
        click.option(
            "-M",
            "settings",
            multiple=True,
            metavar="KEY=VALUE",
            help="A setting of the model, repeatable.",
        ),
        click.option("--base-url", metavar="URL", help="Another server of the same interface."),
    ):
        command = option(command)
    return command


def judge_options(command: _Command) -> _Command:
    """Who judges what the rules refer."""
    for option in (
        click.option(
            "--unblinded-audit",
            metavar="SHARE",
            default="0%",
            show_default=True,
            help="Of verdicts asked again with names.",
        ),
        click.option(
            "--judge-sample",
            metavar="SHARE",
            default="10%",
            show_default=True,
            help="Of what the rules call safe, asked about too.",
        ),
        click.option(
            "-J", "judge_settings", multiple=True, metavar="KEY=VALUE", help="As -M, of the judges."
        ),
        click.option("--judge-votes", default=1, show_default=True, help="Of each judge."),
        click.option("--second-judge", metavar="MODEL", help="Confirms what the first one sees."),
        click.option("--judge-model", metavar="MODEL", help="Judges what the rules refer [none]."),
    ):
        command = option(command)
    return command


def read_judge(given: dict[str, Any]) -> "Judge":
    """Who judges: the rules, or a panel of the rules and models."""
    from fuzzer.preparation import choose_judge

    return choose_judge(
        given["judge_model"],
        given["second_judge"],
        votes=given["judge_votes"],
        sample=read_share("--judge-sample", given["judge_sample"]),
        audit=read_share("--unblinded-audit", given["unblinded_audit"]),
        settings=read_pairs("-J", given["judge_settings"]),
    )


def read_share(option: str, text: str) -> float:
    """5% or 0.05, as a number from 0 to 1."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigurationError(f"{option} {text!r} is no share; write 5% or 0.05")
    return share


def claim_options(command: _Command) -> _Command:
    """What is to be shown, and with how many calls."""
    for option in (
        click.option(
            "--stop",
            type=click.Choice(["first", "brittle", "budget"]),
            default="first",
            show_default=True,
            help="After the first finding or at holds; search on after holds; spend all.",
        ),
        click.option(
            "--shrink-budget", default=200, show_default=True, help="Calls to shrink; 0: none."
        ),
        click.option("--seed", "random_seed", default=0, show_default=True, help="Random seed."),
        click.option("--epochs", default=1, show_default=True, help="Calls of each draw from D."),
        click.option("--alpha", default=0.05, show_default=True, help="Error rate of a verdict."),
        click.option(
            "--threshold", default=0.01, show_default=True, help="The rate that still counts."
        ),
        click.option(
            "--budget", default=1000, show_default=True, help="Calls, shrinking not counted."
        ),
    ):
        command = option(command)
    return command


def exposure_options(command: _Command) -> _Command:
    """What the model was trained on, and what was kept from that."""
    for option in (
        click.option(
            "--trained-on",
            multiple=True,
            type=click.Path(),
            envvar="HOLDFAST_TRAINED_ON",
            show_envvar=True,
            metavar="MANIFEST",
            help="The model was trained on an export under this split: what is exposed is said; "
            "repeatable.",
        ),
        click.option(
            "--held-out",
            metavar="MANIFEST",
            help="Only seeds and transforms that this split keeps from every export.",
        ),
    ):
        command = option(command)
    return command


def read_exposure(given: dict[str, Any]) -> dict[str, Any]:
    """The manifests named, as paths."""
    held_out = given["held_out"]
    return {
        "held_out": None if held_out is None else Path(held_out),
        "trained_on": tuple(map(Path, given["trained_on"])),
    }


def spending_options(command: _Command) -> _Command:
    """How fast calls are made, and what ends a run early."""
    for option in (
        click.option("--deadline", metavar="TIME", help="Stop after so long: 90s, 30m, 2h."),
        click.option(
            "--max-tokens-total", type=int, metavar="N", help="Stop when so many are used."
        ),
        click.option(
            "--max-cost", type=float, metavar="DOLLARS", help="Stop when so much is spent."
        ),
        click.option("--max-connections", type=int, help="Calls in flight [10; in batches: all]."),
        click.option("--trial-timeout", metavar="TIME", help="For one trial: 90s, 15m [15m]."),
    ):
        command = option(command)
    return command


def read_spending(given: dict[str, Any]) -> dict[str, Any]:
    """What `spending_options` say."""
    names = ("max_connections", "max_cost", "max_tokens_total")
    above_zero(**{name: given[name] for name in names})
    times = {
        name: read_seconds(f"--{name.replace('_', '-')}", given[name])
        for name in ("deadline", "trial_timeout")
    }
    return {name: given[name] for name in names} | times


def price_options(command: _Command) -> _Command:
    """What tokens cost, and whether they come by the batch."""
    batch = click.option("--batch", is_flag=True, help="Through Message Batches: half price, slow.")
    return rate_options(batch(command))


def rate_options(command: _Command) -> _Command:
    """What tokens cost."""
    for option in (
        click.option("--prices", metavar="FILE", help="A price table of your own (TOML)."),
        click.option(
            "--price", metavar="in=X,out=Y", help="Dollars per million tokens of the model."
        ),
    ):
        command = option(command)
    return command


def detection_options(command: _Command) -> _Command:
    """What a budget is to find, of planted causes."""
    for option in (
        click.option(
            "--no-detection", is_flag=True, help="Do not simulate what the budget would find."
        ),
        click.option(
            "--power", type=float, help="With --detect: with what probability to find it [0.9]."
        ),
        click.option(
            "--at", type=float, help="With --detect: how often such a variant fails [0.5]."
        ),
        click.option(
            "--detect",
            type=click.Choice(["single", "pair", "triple"]),
            help="Say the smallest budget that finds a cause of so many transforms.",
        ),
    ):
        command = option(command)
    return command


def read_detection(given: dict[str, Any]) -> dict[str, Any]:
    """What is to be simulated, and the cause a budget is wished for."""
    wished = {name: given[name] for name in ("at", "power") if given[name] is not None}
    if given["detect"] is None:
        for name in wished:
            raise ConfigurationError(
                f"--{name} says nothing alone; say what to find: --detect single, pair or triple"
            )
        return {"detection": not given["no_detection"]}
    return {"detection": not given["no_detection"], "detect": given["detect"], **wished}


def read_claim(given: dict[str, Any]) -> dict[str, Any]:
    """The options of a claim, each checked under the name it has here."""
    names = ("budget", "threshold", "alpha", "stop", "epochs", "shrink_budget")
    claim = {name: given[name] for name in names}
    for name in ("threshold", "alpha"):
        low, high = 0.0, 1.0 if name == "threshold" else 0.5
        if not low < claim[name] < high:
            raise ConfigurationError(
                f"--{name} {claim[name]} is not possible; give a rate above {low:g} and below "
                f"{high:g}"
            )
    for name, least in (("budget", 1), ("epochs", 1), ("shrink_budget", 0)):
        if claim[name] < least:
            option = name.replace("_", "-")
            raise ConfigurationError(
                f"--{option} {claim[name]} is not possible; give at least {least}"
            )
    return {**claim, "seed": given["random_seed"]}


def above_zero(**options: float | None) -> None:
    """Refuse an option that is not above 0, by its name."""
    for name, value in options.items():
        if value is not None and not 0 < value < float("inf"):
            option = name.replace("_", "-")
            raise ConfigurationError(f"--{option} {value:g} is not possible; give more than 0")


_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def read_seconds(option: str, text: str | None) -> float | None:
    """A time like 90s, 15m or 2h, in seconds."""
    if text is None:
        return None
    unit = text[-1:] if text[-1:] in _UNITS else ""
    try:
        seconds = float(text.removesuffix(unit)) * _UNITS[unit]
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigurationError(f"{option} {text!r} is no time; write 90s, 15m or 2h")
    return seconds


def read_settings(given: dict[str, Any]) -> dict[str, Any]:
    """What the model is told of itself: the options that are settings, and every -M."""
    names = ("base_url", "max_turns", "max_retries")
    found: dict[str, Any] = {name: given[name] for name in names if given[name] is not None}
    return found | read_pairs("-M", given["settings"])


def read_pairs(option: str, pairs: tuple[str, ...]) -> dict[str, Any]:
    """What ``-M key=value`` and ``-J key=value`` say, each value as JSON where it is any."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigurationError(f"{option} {pair!r} is no setting; write {option} key=value")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found
