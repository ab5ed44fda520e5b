"""Findings told: which of them stand together, and what they rest on."""

import math

from fuzzer.findings import together
from fuzzer.records import Finding
from tests.test_minimal import view


def found(name: str, *, stands: bool = True) -> Finding:
    return view(id=name, attempt=1, minimal_certified=stands).finding


def test_a_certificate_that_a_person_refuted_lends_the_others_nothing():
    e = math.log(25)
    both = together([found("F1"), found("F2")], [e, e], 0.05)
    assert [each.jointly for each in both] == [True, True]
    one = together([found("F1"), found("F2", stands=False)], [e, e], 0.05)
    assert [each.jointly for each in one] == [False, False]  # one of two needs 40
