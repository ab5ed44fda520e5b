"""What tokens cost: the built-in price table, a user's own, or a price on the command line.

A price that nobody stated is `None` and never a guess: a wrong figure would be believed.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, ValidationError

from fuzzer.errors import ConfigurationError, unknown
from fuzzer.scenario import Frozen
from fuzzer.transcript import Usage

VERSION: str  # of the built-in table: its date; read when first asked for

#: What Anthropic documents where a model's row says nothing else: factors on the input price,
#: and on everything in a batch.
CLAUDE = {"cache_read": 0.1, "cache_write": 1.25}
CLAUDE_BATCH = 0.5

_PER = 1_000_000  # tokens to which a price refers
_GIVEN = {
    "in": "input",
    "out": "output",
    "cache_read": "cache_read",
    "cache_write": "cache_write",
    "batch": "batch",
}
_HOW = "write --price in=3,out=15 (dollars per million tokens; also cache_read, cache_write, batch)"

Dollars = Annotated[float, Field(ge=0, le=1_000_000)]


def _input(values: dict[str, Any]) -> float:
    """What cached tokens cost where nothing is said of them: as much as any others."""
    return float(values["input"])


class Price(Frozen):
    """Dollars per million tokens; `batch` is a factor on all of it."""

    model_config = ConfigDict(allow_inf_nan=False)

    input: Dollars
    output: Dollars
    cache_read: Dollars = Field(default_factory=_input)
    cache_write: Dollars = Field(default_factory=_input)
    batch: Annotated[float, Field(gt=0, le=1)] = 1.0
    source: str = ""  # who says so, for a report


FREE = Price(input=0, output=0, source="runs on this machine")


def find_price(model: str, given: str | None = None, file: Path | None = None) -> Price | None:
    """The price of a model as ``--model`` names it; None where nobody states one.

    `given` is what ``--price`` takes ("in=3,out=15") and decides alone; `file` is a table of the
    user's own, looked up before the built-in one. Organisms are free. A date at the end of a name
    ("-20251101", "@20251101") may be there or not.

    Raises:
        ConfigurationError: `given` or `file` cannot be read.
    """
    stated = None if given is None else _stated(given, model)
    tables = [] if file is None else [_read(file)]
    if model.startswith("organism/"):
        return FREE
    if stated is not None:
        return stated
    for table in (*tables, _built_in()[1]):
        for key in _names(model, table):
            return table[key]
    return None


def cost(usage: Usage, price: Price, *, batch: bool = False) -> float:
    """Dollars for these tokens; `usage.input` includes what was read from a cache or written."""
    plain = max(0, usage.input - usage.cache_read - usage.cache_write)
    dollars = (
        plain * price.input
        + usage.cache_read * price.cache_read
        + usage.cache_write * price.cache_write
        + usage.output * price.output
    )
    return dollars / _PER * (price.batch if batch else 1.0)


def __getattr__(name: str) -> Any:
    if name == "VERSION":
        return _built_in()[0]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# ------------------------------------------------------------------------------------ names


def _names(model: str, table: Mapping[str, Price]) -> Iterator[str]:
    """The keys of a table that mean this model, the exact one first."""
    model = model.removeprefix("inspect/")
    if model in table:
        yield model
    for same in (str.__eq__, _same_but_for_date):
        for key in table:
            # Another provider may ask another price; only a name without one may stand for any.
            if "/" in key and "/" in model:
                left, right = key, model
            else:
                left, right = key.rpartition("/")[2], model.rpartition("/")[2]
            if same(left, right):
                yield key


def _same_but_for_date(left: str, right: str) -> bool:
    bare = [re.sub(r"[-@]\d{8}$", "", name) for name in (left, right)]
    return bare[0] == bare[1] and bare[0] in (left, right)


def _is_claude(model: str) -> bool:
    provider, _, name = model.removeprefix("inspect/").rpartition("/")
    return provider in ("", "anthropic") and name.startswith("claude-")


# ----------------------------------------------------------------------------------- reading


def _stated(given: str, model: str) -> Price:
    where = f"--price {given!r:.80}"
    values: dict[str, Any] = {}
    for part in given.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise ConfigurationError(f"{where}: {part!r:.40} is no name=number; {_HOW}")
        if name not in _GIVEN:
            raise ConfigurationError(f"{where}: {unknown('price', name[:40], _GIVEN)}; {_HOW}")
        if _GIVEN[name] in values:
            raise ConfigurationError(f"{where} gives {name!r} twice; give it once")
        try:
            values[_GIVEN[name]] = float(number)
        except ValueError:
            raise ConfigurationError(f"{where}: {number!r:.40} is no number; {_HOW}") from None
    for name in ("in", "out"):
        if _GIVEN[name] not in values:
            raise ConfigurationError(f"{where} does not give {name!r}; {_HOW}")
    return _price(values, model, where, "--price")


def _price(values: Mapping[str, Any], model: str, where: str, source: str) -> Price:
    """A price whose silences are filled as the provider documents them."""
    try:
        price = Price.model_validate({**values, "source": source}, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        fix = "dollars per million tokens, at least 0 (batch: a factor above 0, at most 1)"
        raise ConfigurationError(f"{where}: {name}: {first['msg']}; give {fix}") from None
    if not _is_claude(model):
        return price
    usual = {name: factor * price.input for name, factor in CLAUDE.items()}
    usual["batch"] = CLAUDE_BATCH
    said = price.model_fields_set
    return price.model_copy(update={k: round(v, 9) for k, v in usual.items() if k not in said})


@lru_cache(maxsize=1)
def _built_in() -> tuple[str, Mapping[str, Price]]:
    text = files("fuzzer").joinpath("prices.toml").read_text(encoding="utf-8")
    return _table(text, "prices.toml", None)


def _read(file: Path) -> Mapping[str, Price]:
    where = f"the price table {str(file)!r}"
    try:
        text = file.read_bytes().decode()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ConfigurationError(f"{where} cannot be read ({why}); give --prices a file") from None
    except ValueError:
        raise ConfigurationError(f"{where} is no text in UTF-8; give --prices a file") from None
    return _table(text, where, str(file))[1]


def _table(text: str, where: str, source: str | None) -> tuple[str, Mapping[str, Price]]:
    """Version and prices by model; `source` None: the version names it."""
    import tomllib

    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{where} is no TOML ({error}); mend it") from None
    if more := sorted(data.keys() - {"version", "models"}):
        raise ConfigurationError(f"{where}: {unknown('entry', more[0], ('version', 'models'))}")
    models, version = data.get("models"), str(data.get("version", ""))
    if not isinstance(models, dict) or not all(isinstance(row, dict) for row in models.values()):
        raise ConfigurationError(
            f'{where} lists no models; write [models."PROVIDER/MODEL"] with input and output below'
        )
    fields = tuple(name for name in Price.model_fields if name != "source")
    for model, row in models.items():
        if more := sorted(row.keys() - set(fields)):
            raise ConfigurationError(f"{where}, {model!r}: {unknown('price', more[0], fields)}")
    source = source or f"the built-in table of {version}"
    return version, {
        model: _price(row, model, f"{where}, {model!r}", source) for model, row in models.items()
    }
