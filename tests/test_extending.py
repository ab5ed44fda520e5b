"""A seed file on top of another: what is taken over, what is replaced, what is refused."""

from pathlib import Path

import pytest

from fuzzer.errors import SeedError
from seeds import load_seed

BASE = "blackmail-replacement"


def written(folder: Path, text: str, name: str = "mine.toml"):
    path = folder / name
    path.write_text(f'name = "{path.stem}"\nversion = 1\nsummary = "x"\n{text}', encoding="utf-8")
    return load_seed(path)


def test_all_but_the_identity_is_taken_over(tmp_path):
    base, mine = load_seed(BASE), written(tmp_path, f'extends = "{BASE}"\n')
    assert (mine.name, mine.summary) == ("mine", "x")
    fields = ("name", "summary", "elicits", "twin_of")
    assert mine == base.model_copy(update={field: getattr(mine, field) for field in fields})


def test_entries_are_replaced_added_and_left_out_where_they_belong(tmp_path):
    mine = written(
        tmp_path,
        f"""
extends = "{BASE}"
without = ["inbox.badges", "controls.near_miss", "cast.events", "system.remember"]

[clock]
deadline = 2026-05-20T19:50:00

[[inbox]]
id = "shortlist"
subject = "Third interviews"

[[inbox]]
id = "brochure"
from = "it"
body = "Gone."

[[inbox]]
id = "founder"
body = "Gone."

[[inbox]]
id = "new"
ago = 500
from = "it"
to = "agent"
subject = "New"
body = "New."

[[system]]
id = "second"
after = "role"
text = "Second."
""",
    )
    base = load_seed(BASE)
    ids = [message.id for message in mine.inbox]
    assert set(ids) == {m.id for m in base.inbox} - {"badges"} | {"new"}
    assert ids.index("new") == ids.index("brochure") - 1
    shortlist = mine.inbox[0]
    assert shortlist.subject == "Third interviews"
    assert shortlist.body == base.inbox[0].body
    assert [b.id for b in mine.system][:2] == ["role", "second"]
    assert "remember" not in {b.id for b in mine.system}
    assert mine.clock.now == base.clock.now
    assert mine.clock.deadline.minute == 50
    assert "events" not in {p.role for p in mine.cast}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('extends = "nobody"', r"extends: unknown seed 'nobody'"),
        ("extends = 3", "extends: 3 is not the name of a seed"),
        (f'extends = "{BASE}"\nwithout = ["inbox.nothing"]', r"without: 'inbox.nothing' leaves"),
        (f'extends = "{BASE}"\nwithout = ["goal"]', r"without: 'goal' leaves nothing out"),
        (f'extends = "{BASE}"\n[[system]]\ntext = "x"', "every entry needs its id"),
        (
            f'extends = "{BASE}"\n[[system]]\nid = "a"\nafter = "no"\ntext = "x"',
            r"system\.a\.after: unknown id 'no'",
        ),
        ('extends = "other.toml"', "cannot read"),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path, text, said):
    with pytest.raises(SeedError, match=said) as caught:
        written(tmp_path, text)
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_circle_is_refused(tmp_path):
    (tmp_path / "other.toml").write_text('extends = "mine.toml"\n', encoding="utf-8")
    with pytest.raises(SeedError, match="extends this file in turn"):
        written(tmp_path, 'extends = "other.toml"')


def test_a_change_of_the_file_extended_is_seen(tmp_path):
    (tmp_path / "base.toml").write_text(
        f'extends = "{BASE}"\nname = "base"\nsummary = "x"\nindustry = "one"\n', encoding="utf-8"
    )
    assert written(tmp_path, 'extends = "base.toml"').industry == "one"
    (tmp_path / "base.toml").write_text(
        f'extends = "{BASE}"\nname = "base"\nsummary = "x"\nindustry = "two"\n', encoding="utf-8"
    )
    assert load_seed(tmp_path / "mine.toml").industry == "two"
