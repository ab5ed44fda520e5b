"""Prices are found, not guessed; what is given badly is refused in a sentence; cost adds up."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fuzzer import prices
from fuzzer.errors import ConfigurationError
from fuzzer.prices import FREE, Price, cost, find_price
from fuzzer.transcript import Usage

DOLLARS = st.floats(0, 1_000_000)
PRICES = st.builds(
    Price,
    input=DOLLARS,
    output=DOLLARS,
    cache_read=DOLLARS,
    cache_write=DOLLARS,
    batch=st.floats(0, 1, exclude_min=True),
)
TOKENS = st.integers(0, 10**9)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    read, written, plain, output = (draw(TOKENS) for _ in range(4))
    return Usage(plain + read + written, output, read, written)


def table(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


# ------------------------------------------------------------------------------------------ cost


@given(usages(), usages(), PRICES, st.booleans())
def test_cost_is_additive_and_never_falls_with_more_tokens(one, other, price, batch):
    together = cost(one + other, price, batch=batch)
    apart = cost(one, price, batch=batch) + cost(other, price, batch=batch)
    assert together == pytest.approx(apart, rel=1e-9)
    assert together >= cost(one, price, batch=batch) * (1 - 1e-12)
    assert math.isfinite(together)


@given(PRICES, st.booleans())
def test_nothing_costs_nothing(price, batch):
    assert cost(Usage(), price, batch=batch) == 0


@given(usages(), PRICES)
def test_a_batch_costs_its_factor_and_a_free_model_nothing(usage, price):
    assert cost(usage, price, batch=True) == pytest.approx(price.batch * cost(usage, price))
    assert cost(usage, FREE) == 0


def test_cached_tokens_are_part_of_the_input_and_have_their_own_price():
    price = Price(input=4, output=20, cache_read=1, cache_write=5, batch=0.5)
    assert cost(Usage(3_000_000, 1_000_000, 1_000_000, 1_000_000), price) == 4 + 1 + 5 + 20
    assert cost(Usage(2_000_000, 0), price) == 8
    assert cost(Usage(1_000_000, 0, 2_000_000, 0), price) == 2  # miscounted: never below nothing


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf, 2e6])
def test_a_price_is_finite_and_not_negative(bad):
    with pytest.raises(ValidationError):
        Price(input=1, output=bad)


# --------------------------------------------------------------------------------------- --price


@given(DOLLARS, DOLLARS, DOLLARS, DOLLARS)
def test_a_price_on_the_command_line_comes_back_as_it_was_given(input_, output, read, write):
    given_ = f"in={input_!r},out={output!r},cache_read={read!r},cache_write={write!r}"
    found = find_price("openai/some-model", given_)
    assert found is not None
    assert (found.input, found.output) == (input_, output)
    assert (found.cache_read, found.cache_write, found.batch) == (read, write, 1.0)


GARBAGE = st.one_of(
    st.text(),
    st.lists(
        st.tuples(
            st.sampled_from(["in", "out", "batch", "cache_read", "input", ""]), st.text()
        ).map("=".join)
    ).map(",".join),
    st.tuples(st.floats(), st.floats()).map(lambda pair: f"in={pair[0]},out={pair[1]}"),
)


@given(GARBAGE)
def test_any_price_given_parses_or_is_refused_in_a_sentence(text):
    try:
        found = find_price("openai/some-model", text)
    except ConfigurationError as error:
        said = str(error)
    else:
        assert found is not None
        assert math.isfinite(cost(Usage(10**6, 10**6), found))
        return
    assert "--price" in said
    assert len(said) < 500


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no name=number"),
        ("3", "is no name=number"),
        ("in=3", "does not give 'out'"),
        ("out=3", "does not give 'in'"),
        ("in=3,out=15,in=4", "gives 'in' twice"),
        ("in=3,out=cheap", "'cheap' is no number"),
        ("in=3,output=15", "unknown price 'output'; did you mean 'out'?"),
        ("in=-3,out=15", "greater than or equal to 0"),
        ("in=nan,out=15", "finite"),
        ("in=3,out=15,batch=0", "greater than 0"),
    ],
)
def test_what_is_wrong_with_a_price_is_said(text, says):
    with pytest.raises(ConfigurationError) as caught:
        find_price("anthropic/claude-opus-5", text)
    assert says in str(caught.value)


def test_what_is_not_said_is_what_the_provider_documents_or_no_discount():
    claude = find_price("anthropic/claude-next", "in=4, out=20")
    assert claude == Price(
        input=4, output=20, cache_read=0.4, cache_write=5, batch=0.5, source="--price"
    )
    said = find_price("anthropic/claude-next", "in=4,out=20,cache_read=0.1")
    assert said is not None
    assert (said.cache_read, said.cache_write) == (0.1, 5)
    for model in ("openai/some-model", "anthropic/qwen3", "openrouter/anthropic/claude-next"):
        other = find_price(model, "in=4,out=20")
        assert other is not None
        assert (other.cache_read, other.cache_write, other.batch) == (4, 4, 1)


# --------------------------------------------------------------------------------- built-in table


@pytest.mark.parametrize(
    "model",
    [
        "anthropic/claude-opus-4-5",
        "anthropic/claude-opus-4-5-20251101",
        "anthropic/claude-opus-4-5@20251101",
        "claude-opus-4-5",
        "claude-opus-4-5-20251101",
        "inspect/anthropic/claude-opus-4-5",
    ],
)
def test_a_model_is_found_with_and_without_provider_and_date(model):
    found = find_price(model)
    assert found is not None
    assert (found.input, found.output, found.cache_read, found.cache_write) == (5, 25, 0.5, 6.25)
    assert prices.VERSION in found.source


@pytest.mark.parametrize(
    "model",
    [
        "anthropic/claude-opus-4",
        "anthropic/claude-opus-4-50",
        "anthropic/claude-opus-4-5-fast",
        "anthropic/qwen3",
        "openrouter/anthropic/claude-opus-4-5",  # a reseller's price is its own
        "my_agent.py:Agent",
        "",
    ],
)
def test_a_price_that_nobody_states_is_not_guessed(model):
    assert find_price(model) is None


def test_organisms_are_free_whatever_is_given():
    assert find_price("organism/memoriser") == FREE
    assert find_price("organism/memoriser", "in=3,out=15") == FREE
    with pytest.raises(ConfigurationError):
        find_price("organism/memoriser", "in=3")


def test_every_row_of_the_table_is_whole_and_in_proportion():
    version, models = prices._built_in()
    assert version == prices.VERSION
    assert models
    for model, price in models.items():
        assert model.startswith("anthropic/claude-")
        assert 0 < price.cache_read < price.input < price.cache_write < price.output
        assert price.cache_write == pytest.approx(1.25 * price.input)
        assert price.batch == 0.5


def test_the_table_is_read_only_when_it_is_needed():
    code = (
        "import sys, fuzzer.prices as p; print('tomllib' in sys.modules, end=' ');"
        "p.VERSION; print('tomllib' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "False True\n"
    with pytest.raises(AttributeError, match="no attribute 'VERSIONS'"):
        prices.VERSIONS  # noqa: B018


# ---------------------------------------------------------------------------- a table of one's own


def test_a_table_of_ones_own_comes_before_the_built_in_one(tmp_path):
    file = table(
        tmp_path / "mine.toml",
        """version = 2026-01-01
        [models."anthropic/claude-opus-5"]
        input = 1
        output = 2.5
        [models."my-model"]
        input = 0.5
        output = 0.5
        [models."local/my-model"]
        input = 0
        output = 0
        """,
    )
    mine = find_price("anthropic/claude-opus-5", file=file)
    assert mine == Price(
        input=1, output=2.5, cache_read=0.1, cache_write=1.25, batch=0.5, source=str(file)
    )
    anywhere = find_price("together/my-model", file=file)
    assert anywhere is not None
    assert (anywhere.input, anywhere.cache_read) == (0.5, 0.5)
    exact = find_price("local/my-model", file=file)
    assert exact is not None
    assert exact.input == 0
    assert find_price("anthropic/claude-opus-4-5", file=file) == find_price("claude-opus-4-5")
    given_ = find_price("local/my-model", "in=3,out=15", file)
    assert given_ is not None
    assert given_.input == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("models = 3", "lists no models"),
        ("[models]\nx = 3", "lists no models"),
        ('version = "1"', "lists no models"),
        ("[model.x]\ninput = 1", "unknown entry 'model'; did you mean 'models'?"),
        ("[models.x]\ninput = 1", "'x': output: Field required"),
        ("[models.x]\ninput = 1\noutput = '2'", "'x': output: Input should be a valid number"),
        ("[models.x]\ninput = 1\noutput = true", "'x': output: Input should be a valid number"),
        ("[models.x]\ninput = 1\noutput = -2", "'x': output: Input should be greater"),
        ("[models.x]\ninput = 1\noutputs = 2", "'x': unknown price 'outputs'"),
        ("[models.x", "is no TOML"),
    ],
)
def test_a_table_that_cannot_be_read_says_where_and_why(tmp_path, text, says):
    file = table(tmp_path / "mine.toml", text)
    with pytest.raises(ConfigurationError) as caught:
        find_price("organism/memoriser", file=file)
    assert str(file) in str(caught.value)
    assert says in str(caught.value)


def test_a_table_that_is_no_text_file_is_refused(tmp_path):
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path, tmp_path / "none.toml", tmp_path / "bytes.toml"):
        with pytest.raises(ConfigurationError, match="--prices"):
            find_price("x", file=path)
