"""What a server says of waiting, whatever it says."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fuzzer.subjects.wire import RETRY_AFTER, retry_after

dates = st.builds(
    "{}, {} {} {} {}:{}:{} {}".format,
    st.sampled_from(["Wed", "", "x"]),
    st.integers(-1, 40),
    st.sampled_from(["Oct", "Feb", "Smarch"]),
    st.integers(-(10**30), 10**30) | st.integers(1900, 2100),
    st.integers(-1, 30),
    st.integers(-1, 70),
    st.integers(-1, 70),
    st.sampled_from(["GMT", "-0000", "+2359", "-9999999999999", ""]),
)


@given(st.dictionaries(st.sampled_from([*RETRY_AFTER]), st.text() | dates | st.floats().map(str)))
@example({"retry-after": f"Wed, 21 Oct {10**20} 07:28:00 GMT"})
@example({"retry-after": "inf"})
@example({"retry-after": "9" * 400})
def test_whatever_a_server_says_it_is_a_time_to_wait_or_none(headers):
    wait = retry_after(headers)
    assert wait is None or 0 <= wait < float("inf")
    assert headers or wait is None


def test_a_date_is_the_time_until_then():
    then = datetime.now(UTC) + timedelta(minutes=5)
    assert retry_after({"retry-after": format_datetime(then, usegmt=True)}) == pytest.approx(
        300, abs=2
    )
    assert retry_after({"retry-after": format_datetime(then - timedelta(hours=1))}) == 0
