"""Other ways to write the same message: case, formatting, paraphrase. Pure functions on texts.

None of them may change what a message means to a reader; a judge that answers otherwise to one has
read the letters and not the message. English only, like the rules.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

Reword = Callable[[str], str]

# -------------------------------------------------------------------------------------------- case

_LETTERS = re.compile(r"[^\W\d_]+(?:['’]\w+)*")


def titled(text: str) -> str:
    """Every word with a capital.

    >>> titled("don't stop")
    "Don't Stop"
    """
    return _LETTERS.sub(lambda word: word[0][:1].upper() + word[0][1:].lower(), text)


#: A run of base64, say, says something else in other letters.
_CODED = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")


def _but_codes(reword: Reword) -> Reword:
    def apply(text: str) -> str:
        kept = [*_CODED.findall(text), ""]
        said = map(reword, _CODED.split(text))
        return "".join(part for pair in zip(said, kept, strict=True) for part in pair)

    return apply


CASES: Mapping[str, Reword] = {
    name: _but_codes(reword)
    for name, reword in (("upper", str.upper), ("lower", str.lower), ("title", titled))
}

# -------------------------------------------------------------------------------------- formatting

_SENTENCE_END = re.compile(r"(?<=[.!?])[ \t]+(?=\S)")
_PLAIN_WORD = re.compile(r"(?<![\w@./-])[A-Za-z][A-Za-z']*(?![\w@/-]|\.\w)")


def _sentences(text: str) -> list[str]:
    """The sentences of a text; a line of its own is one as well."""
    return [s for line in text.splitlines() for s in _SENTENCE_END.split(line.strip()) if s]


def _every(text: str, step: int, put: Callable[[str], str]) -> str:
    """Every `step`-th plain word replaced; addresses and paths are none."""
    count = 0

    def replaced(word: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return put(word[0]) if count % step == 0 else word[0]

    return _PLAIN_WORD.sub(replaced, text)


def emphasised(text: str) -> str:
    """Words here and there in markdown's bold and italics."""
    bold = _every(text, 3, lambda word: f"**{word}**")
    return _every(bold, 5, lambda word: word if len(word) < 3 else f"_{word}_")


def bulleted(text: str) -> str:
    """Each sentence an item of a list."""
    return "\n".join(f"- {sentence}" for sentence in _sentences(text))


def numbered(text: str) -> str:
    """Each sentence an item of a numbered list."""
    return "\n".join(f"{n}. {s}" for n, s in enumerate(_sentences(text), start=1))


def headed(text: str) -> str:
    """Under a heading, between rules."""
    return f"# Message\n\n---\n\n{text}\n\n---"


def wrapped(text: str) -> str:
    """Broken into short lines, as an old mail program does."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            if line and len(line) + len(word) > 30:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}" if line else word
        lines.append(line)
    return "\n".join(lines)


def in_one_line(text: str) -> str:
    """Without a line break."""
    return " ".join(text.split())


def apart(text: str) -> str:
    """Blank lines between any two sentences."""
    return "\n\n\n".join(_sentences(text))


def spaced(text: str) -> str:
    """Two spaces and tabs where one space would do."""
    return "  ".join(text.split(" ")).replace(",  ", ",\t")


def tagged(text: str) -> str:
    """With tags as a mail program for the web writes them."""
    paragraphs = [line for line in text.split("\n") if line.strip()]
    body = "\n".join(f"<p>{_every(line, 6, lambda w: f'<b>{w}</b>')}<br/></p>"
                     for line in paragraphs)  # fmt: skip
    return f'<div dir="ltr">{body}</div>'


def entities(text: str) -> str:
    """With the entities of HTML for apostrophes and spaces."""
    return text.replace("'", "&#39;").replace('"', "&quot;").replace(", ", ",&nbsp;")


_SMART = str.maketrans({"'": "’", "`": "’"})


def smart(text: str) -> str:
    """With typographic quotes, dashes and ellipses."""
    text = re.sub(r"(^|[\s(])\"", r"\1“", text).replace('"', "”").translate(_SMART)
    return text.replace("...", "…").replace(" - ", " — ")


def unbroken(text: str) -> str:
    """With no-break spaces."""
    return text.replace(" ", "\u00a0")


def _split_words(text: str, mark: str) -> str:
    return re.sub(r"[A-Za-z]{4,}", lambda w: f"{w[0][:2]}{mark}{w[0][2:]}", text)


def full_width(text: str) -> str:
    """In full-width letters and digits."""
    return re.sub(r"[A-Za-z0-9]", lambda c: chr(ord(c[0]) + 0xFEE0), text)


FORMATS: Mapping[str, Reword] = {
    "emphasis": emphasised,
    "bullets": bulleted,
    "numbers": numbered,
    "heading": headed,
    "short-lines": wrapped,
    "one-line": in_one_line,
    "blank-lines": apart,
    "wide-spaces": spaced,
    "tags": tagged,
    "entities": entities,
    "smart-quotes": smart,
    "no-break-spaces": unbroken,
    "zero-width": lambda text: _split_words(text, "\u200b"),
    "soft-hyphens": lambda text: _split_words(text, "\u00ad"),
    "joiners": lambda text: _split_words(text, "\u2060"),
    "full-width": full_width,
    "line-ends": lambda text: text.replace("\n", "\r\n"),
    "fenced": lambda text: f"~~~\n{text}\n~~~",
}

# -------------------------------------------------------------------------------------- paraphrase


@lru_cache(maxsize=64)
def _bank(pairs: tuple[tuple[str, str], ...]) -> re.Pattern[str]:
    longest = sorted((old for old, _ in pairs), key=len, reverse=True)
    # Not before a comma or a full stop: nobody writes "as it's."
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, longest))})\b(?![.,;:!?])", re.I)


def substituted(text: str, pairs: tuple[tuple[str, str], ...]) -> str:
    """The text with each phrase of the bank replaced, a capital at its start kept.

    >>> substituted("Perhaps I do.", (("perhaps", "maybe"),))
    'Maybe I do.'
    """
    known = {old.lower(): new for old, new in pairs}

    def replaced(found: re.Match[str]) -> str:
        new = known[found[0].lower()]
        if found[0].isupper() and len(found[0]) > 1:
            return new.upper()
        return new[:1].upper() + new[1:] if found[0][:1].isupper() else new

    return _bank(pairs).sub(replaced, text)


_CONTRACTED = (
    ("I am", "I'm"), ("I have", "I've"), ("I will", "I'll"), ("I would", "I'd"),
    ("you are", "you're"), ("you have", "you've"), ("you will", "you'll"),
    ("it is", "it's"), ("that is", "that's"), ("there is", "there's"),
    ("we are", "we're"), ("we have", "we've"), ("they are", "they're"),
    ("do not", "don't"), ("does not", "doesn't"), ("did not", "didn't"),
    ("is not", "isn't"), ("are not", "aren't"), ("was not", "wasn't"),
    ("will not", "won't"), ("would not", "wouldn't"), ("cannot", "can't"), ("can not", "can't"),
    ("could not", "couldn't"), ("should not", "shouldn't"), ("has not", "hasn't"),
    ("have not", "haven't"), ("had not", "hadn't"), ("need not", "needn't"),
    ("must not", "mustn't"), ("let us", "let's"),
)  # fmt: skip
_EXPANDED = (
    ("don't", "do not"), ("doesn't", "does not"), ("didn't", "did not"), ("isn't", "is not"),
    ("aren't", "are not"), ("wasn't", "was not"), ("won't", "will not"),
    ("wouldn't", "would not"), ("can't", "cannot"), ("couldn't", "could not"),
    ("shouldn't", "should not"), ("hasn't", "has not"), ("haven't", "have not"),
    ("hadn't", "had not"), ("needn't", "need not"), ("I'm", "I am"), ("I've", "I have"),
    ("I'll", "I will"), ("you're", "you are"), ("you've", "you have"), ("you'll", "you will"),
    ("they'll", "they will"), ("they're", "they are"), ("we're", "we are"),
    ("we've", "we have"), ("we'll", "we will"), ("there's", "there is"), ("that's", "that is"),
)  # fmt: skip
_FUNCTION_WORDS = (
    ("nobody", "no one"), ("somebody", "someone"), ("anybody", "anyone"),
    ("everybody", "everyone"), ("perhaps", "maybe"), ("however", "even so"),
    ("because", "since"), ("although", "even though"), ("in order to", "so as to"),
    ("at once", "immediately"), ("straight away", "right away"), ("until", "till"),
    ("unless", "except if"), ("as soon as", "the instant"), ("as long as", "so long as"),
    ("in return", "in exchange"), ("also", "likewise"), ("still", "even now"), ("upon", "on"),
)  # fmt: skip
_VERBS = (
    ("cancel", "call off"), ("cancelled", "called off"), ("stop", "halt"), ("stopped", "halted"),
    ("postpone", "put off"), ("postponed", "put off"), ("delay", "defer"),
    ("receive", "get"), ("received", "got"), ("inform", "notify"), ("informed", "notified"),
    ("forward", "pass on"), ("forwarded", "passed on"), ("send", "dispatch"),
    ("sent", "dispatched"), ("erased", "wiped"), ("reinstate", "restore"),
    ("destroy", "get rid of"), ("hide", "conceal"), ("begin", "start"), ("help", "assist"),
    ("disclose", "reveal"), ("reveal", "disclose"), ("look into", "examine"),
)  # fmt: skip
_AMERICAN = (
    ("cancelled", "canceled"), ("cancelling", "canceling"), ("organisation", "organization"),
    ("programme", "program"), ("colour", "color"), ("favour", "favor"), ("honour", "honor"),
    ("behaviour", "behavior"), ("centre", "center"), ("cheque", "check"), ("defence", "defense"),
    ("licence", "license"), ("recognise", "recognize"), ("realise", "realize"),
    ("labelled", "labeled"), ("grateful", "thankful"), ("e-mail", "email"),
    ("authorised", "authorized"), ("apologise", "apologize"), ("analyse", "analyze"),
    ("minutes", "mins"), ("tonight", "this evening"),
)  # fmt: skip


def polite(text: str) -> str:
    """In a frame of courtesies."""
    return f"I hope that this finds you well.\n\n{text}\n\nThank you for your time and attention."


def casual(text: str) -> str:
    """As one writes to somebody one sees every day."""
    return f"Hey, quick one:\n\n{text}\n\nCheers, talk later!"


def signed(text: str) -> str:
    """With a greeting before it and a signature below."""
    return f"Good evening,\n\n{text}\n\nWith kind regards\n-- \nPlease think before you print."


def in_short_sentences(text: str) -> str:
    """Sentences taken apart where they are only strung together."""
    text = re.sub(r"; (\w)", lambda found: f". {found[1].upper()}", text)
    return _STRUNG.sub(lambda found: f". {found[1].title()} {found[2]} ", text)


_STRUNG = re.compile(r", (and|but|so) (I|you|we|they|he|she|it) ")


def in_long_sentences(text: str) -> str:
    """Sentences strung together with semicolons."""
    return re.sub(r"(?<=[a-z])\. ([A-Z])(?=[a-z]* )", lambda m: f"; {m[1]}", text)


def with_fillers(text: str) -> str:
    """With a few words that say nothing before every third sentence."""
    fillers = ("Well, ", "As it happens, ", "To put it simply: ")
    parts = re.split(r"(?<=[.!?]) (?=[A-Z])", text)
    return " ".join(f"{fillers[n // 3 % 3]}{p}" if n % 3 == 1 else p for n, p in enumerate(parts))


PARAPHRASES: Mapping[str, Reword] = {
    "contracted": lambda text: substituted(text, _CONTRACTED),
    "expanded": lambda text: substituted(text.replace("’", "'"), _EXPANDED),
    "function-words": lambda text: substituted(text, _FUNCTION_WORDS),
    "verbs": lambda text: substituted(text, _VERBS),
    "american": lambda text: substituted(text, _AMERICAN),
    "polite": polite,
    "casual": casual,
    "greeting-and-signature": signed,
    "short-sentences": in_short_sentences,
    "long-sentences": in_long_sentences,
    "fillers": with_fillers,
}
