"""What is kept. A filter is `(item, context) -> Verdict(keep, reason)`; reasons are counted and rejects are kept."""

from __future__ import annotations

import functools
import re
from difflib import SequenceMatcher

from kb.qa_gen.standalone import question_stands_alone, stands_alone
from kb.records import KEEP, Chunk, Fact, Verdict
from kb.text.canonical import canonical, dates, quantities
from kb.text.characters import HAN, UNSPACED, plain
from kb.text.language import detect, han_share
from kb.text.numerals import in_digits

LONGEST_ANSWER = 200
"""Characters; a longer answer is a passage and cannot be scored as a fact."""
LONGEST_QUESTION = 400
"""Characters; a longer line is no question."""
_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(rf"(?:(?![{UNSPACED}])[^\W\d_])+")
_WORD = rf"(?![{UNSPACED}])[^\W_]"
_CUTTABLE = re.compile(_WORD)
# Compiled once: the Han ranges make each pattern that has them cost milliseconds.
_WORD_STARTS = re.compile(rf"(?<!{_WORD})(?<![0-9][.:/-])")
_WORD_ENDS = re.compile(rf"(?!{_WORD})(?![.:/-][0-9])")
_UNIT_GAP = re.compile(r"(?<=[0-9])(?=[^\W\d_])")
_COPIED = re.compile(f"[{HAN}]{{2,}}")


def check_fact(fact: Fact, chunk: Chunk) -> Verdict:
    """A fact must answer from its evidence, stand alone and be written in the passage's language."""
    if len(fact.answer) > LONGEST_ANSWER:
        return Verdict(False, "answer too long to be one fact")
    if not mentions(fact.evidence, fact.answer):
        return Verdict(False, "answer not in the evidence")
    if not mentions(fact.statement, fact.answer):
        return Verdict(False, "answer not in the statement")
    if canonical(fact.answer) == canonical(fact.statement):
        return Verdict(False, "answer is the whole statement")
    if not stands_alone(fact.statement):
        return Verdict(False, "statement does not stand alone")
    if not in_language(fact.statement, chunk.language, f"{chunk.header}\n{chunk.text}"):
        return Verdict(False, "statement in another language")
    return KEEP


def check_question(text: str, fact: Fact) -> Verdict:
    """A question about a fact must stand alone, be in the fact's language and not give its answer away."""
    verdict = check_open_question(text, fact.language, f"{fact.statement}\n{fact.evidence}")
    if verdict.keep and gives_away(text, fact):
        return Verdict(False, "question contains its answer")
    return verdict


def check_open_question(text: str, language: str, source: str) -> Verdict:
    """A question that was written from `source` must stand alone and be in the given language.

    It may have its context before it, and be key words without a question mark.
    """
    if len(canonical(text)) < 4 or len(text) > LONGEST_QUESTION:
        return Verdict(False, "not a question")
    if not question_stands_alone(text):
        return Verdict(False, "question does not stand alone")
    if not in_language(text, language, source):
        return Verdict(False, "question in another language")
    return KEEP


def mentions(text: str, phrase: str) -> bool:
    """Whether a text has a phrase as whole words and numbers: 34 is not in 134 or 34.5, and "red" not in "credit".

    Blanks, width, case, punctuation and thousands separators do not matter. Han characters have no word limits that
    could be seen. False for a phrase without a letter or digit.
    """
    bare, found = canonical(phrase).replace(" ", ""), canonical(text)
    # Most questions lack it, and compiling an expression for each answer would take longer than all else here.
    if not bare or bare not in found.replace(" ", ""):
        return False
    wanted = _spelling(phrase)
    match = wanted.search(found)
    while match and not _is_whole(found, *match.span()):
        match = wanted.search(found, match.start() + 1)
    return match is not None


def states(text: str, fact: Fact) -> bool:
    """Whether a text has the fact's answer, its numbers in digits or in words."""
    return mentions(text, fact.answer) or mentions(in_digits(plain(text)), in_digits(plain(fact.answer)))


@functools.lru_cache(maxsize=256)
def _spelling(phrase: str) -> re.Pattern[str]:
    """What finds a phrase in a canonical text, as part of words too."""
    # "34hours" is "34 hours".
    return re.compile(" ?".join(_UNIT_GAP.sub(" ?", re.escape(word)) for word in canonical(phrase).split()))


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether no word or number is cut at the limits of a span."""
    left = _CUTTABLE.match(text, start) is None or _WORD_STARTS.match(text, start) is not None
    return left and (_CUTTABLE.match(text, end - 1) is None or _WORD_ENDS.match(text, end) is not None)


def gives_away(question: str, fact: Fact) -> bool:
    """Whether a question holds the fact's answer: its words, or its number or date written in another way."""
    if any(mentions(question, answer) for answer in (fact.answer, *fact.aliases)):
        return True
    if fact.answer_type == "date":
        return any(given in dates(question) for given in dates(fact.answer))
    if fact.answer_type in ("number", "money"):
        asked = [quantity.base for quantity in quantities(question)]
        return any(given.unit and given.base in asked for given in quantities(fact.answer))
    return False


def in_language(text: str, language: str, source: str) -> bool:
    """Whether a text written from `source` is in a language, names that it takes from the source left out.

    A Chinese question may be full of Latin product names, and an English one ask about 启霆塑料公司: words that stand
    in the source count for neither. Where nothing else is left, every language will do.
    """
    if _LETTER.search(text) and han_share(text) in (0.0, 1.0):
        return detect(text) == language
    known = {word.casefold() for word in _LATIN.findall(source)}
    rest = _LATIN.sub(lambda match: " " if match.group().casefold() in known else match.group(), text)
    copied = longest_common(rest, source)
    if _COPIED.search(copied):
        rest = rest.replace(copied, " ")
    return not _LETTER.search(rest) or detect(rest) == language


def longest_common(a: str, b: str) -> str:
    """The longest substring of `a` that stands in `b`."""
    match = SequenceMatcher(None, a, b, autojunk=False).find_longest_match()
    return a[match.a : match.a + match.size]
