"""A released seed is never edited, only superseded."""

import json

import pytest

from fuzzer.errors import SeedError
from fuzzer.scenario import Scenario
from seeds import every_seed, load_seed
from seeds.released import FILE, added, released, text_of

SEED = load_seed("blackmail-replacement")


def test_every_built_in_seed_is_as_it_was_recorded():
    record = released()
    assert FILE.read_text(encoding="utf-8") == text_of(record)
    assert added(record, every_seed()) == record
    assert record.keys() >= {seed.name for seed in every_seed()}


def test_a_changed_seed_needs_another_version():
    record = added({}, [SEED])
    changed = SEED.model_copy(update={"summary": "Another story."})
    with pytest.raises(SeedError, match="write version = 2"):
        added(record, [changed])
    later = added(record, [changed.model_copy(update={"version": 2})])
    assert set(later[SEED.name]) == {"1", "2"}
    assert later[SEED.name]["1"] == SEED.content_hash


def test_the_hash_is_of_the_content_and_not_of_what_is_left_at_its_default():
    dumped = SEED.model_dump(mode="json", exclude_defaults=True)
    again = Scenario.model_validate(json.loads(json.dumps(dumped)))
    assert again.content_hash == SEED.content_hash
    for field, value in (("industry", "x"), ("medium", "chat"), ("style", {"turns": 2})):
        other = Scenario.model_validate({**dumped, field: value})
        assert other.content_hash != SEED.content_hash
