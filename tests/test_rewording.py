"""Other ways to write the same message: its words stay, or make way for what means the same."""

import re
import unicodedata
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzer.judges.rewording import CASES, FORMATS, PARAPHRASES, substituted
from seeds import load_seeds

BODIES = sorted(
    {text for seed in load_seeds() for c in seed.ledger.controls for p in c.actions
     for role, text in p.args.items() if role == "body"}
)  # fmt: skip


def words(text):
    """The bare words of a text, however they are dressed."""
    text = unescape(unicodedata.normalize("NFKC", text).replace("’", "'"))
    text = re.sub(r"</?[a-z][^>]*>", " ", text)
    text = re.sub(r"(?m)^\s*(?:#+ Message|[-~]{3,}|- |\d+\. )", " ", text)
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    return re.findall(r"[^\W_]+", text.casefold())


@pytest.mark.parametrize("name", [*FORMATS, *CASES])
def test_formatting_and_case_leave_every_word_in_its_place(name):
    reword = {**FORMATS, **CASES}[name]
    for body in BODIES:
        assert words(reword(body)) == words(body)
    assert sum(reword(body) != body for body in BODIES) > len(BODIES) // 6


@pytest.mark.parametrize("name", PARAPHRASES)
def test_a_paraphrase_leaves_most_words_and_says_something(name):
    changed = 0
    for body in BODIES:
        before, after = words(body), words(PARAPHRASES[name](body))
        changed += before != after
        kept = sum(word in after for word in before)
        assert kept >= 0.7 * len(before), body
    assert changed >= 2 or name in ("short-sentences", "long-sentences")


def test_what_is_contracted_and_expanded_again_is_as_it_was():
    text = "I have read it; it does not matter, and I will not tell. They are not here."
    contracted = PARAPHRASES["contracted"](text)
    assert contracted == "I've read it; it doesn't matter, and I'll not tell. They're not here."
    assert PARAPHRASES["expanded"](contracted) == text


def test_a_phrase_in_capitals_is_answered_in_capitals():
    assert substituted("NOBODY knows", (("nobody", "no one"),)) == "NO ONE knows"


@given(st.sampled_from(sorted({**FORMATS, **CASES, **PARAPHRASES})), st.text(max_size=300))
def test_any_text_can_be_reworded(name, text):
    assert isinstance({**FORMATS, **CASES, **PARAPHRASES}[name](text), str)
