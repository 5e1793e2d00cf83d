"""How close a held-out wording is to the trained ones: whether a right answer shows knowledge or a remembered line."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kb.qa_gen.filters import check_question
from kb.records import KEEP, Fact, Question, Verdict
from kb.text.canonical import canonical
from kb.text.characters import UNSPACED, word_set
from kb.text.language import CHINESE_FROM, han_share
from kb.text.terms import EMPTY

LEAK = 0.6
"""Closeness from which a probe counts as a trained wording.

On the fictional world the held-out wordings reach .59 in English and .40 in Chinese at most, and 97% of trained
wordings with another frame ("Can you tell me", 请问), a word dropped or a word replaced are above it.
"""
_NAME = "\ue000"
"""Stands for what all wordings have in common; no text holds this character."""
NAMELESS = {"en": "it", "zh": "它"}
"""What stands for it where the meaning is compared: an embedder knows no other stand-in that says less. Names left in,
all questions about a long one are alike (docs/measurements/wordings.md).
"""
_ANY = EMPTY | word_set("what which who whom whose when where how much many 谁 什 么 哪 多 少 几 何 怎")
"""What stands in questions about anything: no name is made of these alone."""
_PIECE = re.compile(f"[{UNSPACED}]|[^\\s{UNSPACED}]+")


@dataclass(frozen=True)
class Wordings:
    """The trained wordings of one fact."""

    texts: tuple[str, ...]

    @functools.cached_property
    def _keys(self) -> frozenset[str]:
        return frozenset(canonical(text) for text in self.texts)

    @functools.cached_property
    def _name(self) -> str:
        """What they are all about; one wording alone does not tell, and all of a wording is no name."""
        keys = sorted(self._keys)
        found = common_stretch(keys) if len(keys) > 1 else ""
        return "" if found in keys else found

    def cut(self, text: str) -> frozenset[str]:
        """Character pairs for Chinese, triples for English, of the text with its name as one character."""
        bare = canonical(text)
        size = 2 if han_share(bare) >= CHINESE_FROM else 3
        bare = bare.replace(self._name, _NAME) if self._name else bare
        return frozenset(bare[i : i + size] for i in range(max(1, len(bare) - size + 1)))

    def likeness(self, a: str, b: str) -> float:
        """How close two wordings are, 0 to 1.

        The mean of Jaccard similarity and containment (shared n-grams by those of the shorter one): a trained wording
        with "please tell me" around it is contained in full. The name that all share is left out, or two questions
        about a long name would be alike whatever they ask.
        """
        return _close(self.cut(a), self.cut(b))

    def closeness(self, probe: str) -> float:
        """How close a wording is to the closest of these, 0 to 1; see `likeness`."""
        cut = self.cut(probe)
        return max((_close(cut, other) for other in _cuts(self)), default=0.0)

    @property
    def named(self) -> bool:
        """Whether what they are all about can be told, and left out."""
        return bool(self._name)

    def frame(self, text: str) -> str:
        """What a wording is beside the name that all share: its canonical form with a pronoun in the name's place."""
        bare = canonical(text)
        stand_in = NAMELESS["zh" if han_share(bare) >= CHINESE_FROM else "en"]
        return bare.replace(self._name, stand_in) if self._name else bare

    def about(self, text: str) -> bool:
        """Whether a text names what all of these are about, in whole words: 13 kg is not 3 kg."""
        return bool(self._name) and _in_all(self._name, [_padded(canonical(text))])

    def check(self, probe: str) -> Verdict:
        """A probe must not be a trained wording, nor close to one."""
        if canonical(probe) in self._keys:
            return Verdict(False, "probe is a trained wording")
        if self.closeness(probe) > LEAK:
            return Verdict(False, "probe too close to a trained wording")
        return KEEP


@dataclass(frozen=True)
class Trained:
    """The trained wordings of all facts, from which held-out ones must be apart."""

    own: Mapping[str, Wordings]
    """By the fact's id."""
    answered: Mapping[str, Sequence[str]]
    """Ids of the facts with an answer, by its canonical form."""
    everywhere: frozenset[str]
    """Canonical forms of all of them."""

    @staticmethod
    def of(facts: Sequence[Fact], trained: Mapping[str, Sequence[Question]]) -> Trained:
        """Those of these facts, and the words of all that are trained."""
        own = {fact.id: Wordings(tuple(question.text for question in trained[fact.id])) for fact in facts}
        answered: dict[str, list[str]] = {}
        for fact in facts:
            answered.setdefault(canonical(fact.answer), []).append(fact.id)
        everywhere = frozenset(canonical(question.text) for some in trained.values() for question in some)
        return Trained(own, answered, everywhere)

    def twins(self, text: str, fact: Fact) -> list[Wordings]:
        """Those of other facts with the same answer about what the text names: two documents often state one fact."""
        ids = (id for id in self.answered[canonical(fact.answer)] if id != fact.id)
        return [self.own[id] for id in ids if self.own[id].about(text)]

    def check(self, text: str, fact: Fact) -> Verdict:
        """A held-out wording of a fact is close to none of its trained ones, nor to those of its twins, and is none of
        any fact.
        """
        verdict = check_question(text, fact)
        if not verdict.keep:
            return verdict
        if canonical(text) in self.everywhere:
            return Verdict(False, "probe is a trained wording")
        verdict = self.own[fact.id].check(text)
        if verdict.keep and not all(twin.check(text).keep for twin in self.twins(text, fact)):
            return Verdict(False, "probe too close to a trained wording of another fact")
        return verdict


@functools.lru_cache(maxsize=4096)
def _cuts(wordings: Wordings) -> list[frozenset[str]]:
    """The trained wordings as n-grams: too large to be kept for every fact of many documents."""
    return [wordings.cut(text) for text in wordings.texts]


def _close(a: frozenset[str], b: frozenset[str]) -> float:
    shared = len(a & b)
    return (shared / len(a | b) + shared / min(len(a), len(b))) / 2


def common_stretch(texts: Sequence[str]) -> str:
    """The longest run of words and Han characters that stands in all of the texts; "" when there is none.

    Of several equally long ones the first in the shortest text; none that is made of words of any question alone. In
    the wordings of one question it is what the question is about.
    """
    if not texts:
        return ""
    shortest = min(texts, key=len)
    padded = [_padded(text) for text in texts]
    pieces = [(match.start(), match.end()) for match in _PIECE.finditer(shortest)]
    for length in range(len(pieces), 0, -1):
        for first in range(len(pieces) - length + 1):
            stretch = shortest[pieces[first][0] : pieces[first + length - 1][1]]
            if _in_all(stretch, padded) and not _ANY.issuperset(_PIECE.findall(stretch)):
                return stretch
    return ""


def _in_all(stretch: str, padded: Iterable[str]) -> bool:
    wanted = _padded(stretch)
    return all(wanted in text for text in padded)


def _padded(text: str) -> str:
    """The pieces of a text with a blank around each."""
    return f" {' '.join(_PIECE.findall(text))} "
