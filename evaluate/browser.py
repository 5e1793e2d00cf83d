"""The data of the page's answers: probes, answers, chats, passages and facts, each text once and all of it bounded.

Questions and answers are MOST_SAID characters at most, passages and what stands around them in chats MOST_READ each,
and an answer's numbers some 30 characters more: together 20 million at most, however large the evaluation was. Beside
them only the facts grow, by about 300 characters each. The page says what was left off and where it is to be found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kb.evaluate import wording
from kb.evaluate.names import rule_name
from kb.evaluate.results import VERDICTS, FactRow, Report, Text
from kb.evaluate.sections import heat_order
from kb.evaluate.sources import NO_SOURCES, Place, Sources, Template, shown
from kb.records import Probe, Score

MOST_ANSWERS = 100_000
"""Answers on the page; of more, probes at even distances are taken, with all their arms. answers.jsonl has all."""
MOST_SAID = 8_000_000
"""Characters of questions and answers on the page; of more, likewise."""
LONGEST = 400
"""Characters of a question, an answer or what a fact says that are shown."""
MOST_READ = 4_000_000
"""Characters of passages on the page, those first that were shown most often; and likewise of chats around them."""
LONGEST_PASSAGE = 4_000
"""Characters of a passage that are shown."""


def browser_data(
    report: Report, probes: Sequence[Probe], scores: Sequence[Score], sources: Sources = NO_SOURCES
) -> dict[str, Any]:
    """What the script needs: the facts in the order of the heat map, the probes or a sample of them with their answers,
    and what was read. A chat is the number of a template, a passage that of its text; -1 where it was left off.
    """
    answers: dict[str, list[Score]] = {}
    for score in scores:
        answers.setdefault(score.probe_id, []).append(score)
    kinds = list(wording.KINDS)
    asked = [probe for probe in probes if probe.id in answers]
    asked.sort(key=lambda probe: (kinds.index(probe.kind) if probe.kind in kinds else 99, probe.fact_id, probe.id))
    held = asked[:: _stride(asked, scores)]
    arms = list(dict.fromkeys([*(arm.arm for arm in report.arms), *sorted({score.arm for score in scores})]))
    facts = [row for group in heat_order(report) for row in group]
    rules, chunks, templates = _Names(), _Names(), _templates(held, answers, sources)
    order = {arm: number for number, arm in enumerate(arms)}
    rows: list[list[Any]] = []
    for probe in held:
        given = [
            [
                order[score.arm], VERDICTS.index(score.verdict), _cut(score.answer, LONGEST), rules.number(score.rule),
                [chunks.number(chunk) for chunk in shown(probe, score)],
                templates.get(sources.asked.get((score.arm, probe.id), -1), -1),
            ]
            for score in sorted(answers[probe.id], key=lambda score: order[score.arm])
        ]  # fmt: skip
        said = _cut(probe.question, LONGEST), _cut(probe.gold, LONGEST)
        rows.append([probe.id, probe.fact_id, probe.kind, *said, given])
    about = [_fact(row, report, sources, chunks) for row in facts]
    used = Counter(chunk for row in rows for one in row[5] for chunk in one[4])
    return {
        "names": arms,
        "arms": [_pair(wording.named(wording.ARMS, arm)) for arm in arms],
        "verdicts": [_pair(wording.VERDICTS[verdict]) for verdict in VERDICTS],
        "kinds": {kind: _pair(text) for kind, text in wording.KINDS.items()},
        "rules": [_pair(rule_name(rule)) for rule in rules.names],
        "templates": [sources.templates[number] for number in templates],
        "chunks": _passages(chunks.names, used, sources),
        "facts": about,
        "probes": rows,
        "all": len(asked),
    }


class _Names:
    """Strings that repeat, as numbers."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """The number of a name, a new one if it was not seen."""
        if name not in self._numbers:
            self._numbers[name] = len(self.names)
            self.names.append(name)
        return self._numbers[name]


def _stride(asked: Sequence[Probe], scores: Sequence[Score]) -> int:
    """Of how many probes one is on the page."""
    said = sum(min(LONGEST, len(probe.question)) for probe in asked)
    said += sum(min(LONGEST, len(score.answer)) for score in scores)
    return max(1, -(-len(scores) // MOST_ANSWERS), -(-said // MOST_SAID))


def _templates(held: Iterable[Probe], answers: Mapping[str, Sequence[Score]], sources: Sources) -> dict[int, int]:
    """The chats on the page, as numbers of what was read to numbers on the page, most used first."""
    used = Counter(sources.asked.get((score.arm, probe.id), -1) for probe in held for score in answers[probe.id])
    del used[-1]
    fitting = _within((number, _length(sources.templates[number])) for number, _ in used.most_common())
    return {number: place for place, number in enumerate(fitting)}


def _length(template: Template) -> int:
    return sum(len(part) for _, parts in template for part in parts if isinstance(part, str))


def _within(lengths: Iterable[tuple[int, int]]) -> list[int]:
    """The numbers whose texts fit into MOST_READ together, in their order, each taken that still fits."""
    left, fitting = MOST_READ, []
    for number, length in lengths:
        if length <= left:
            left -= length
            fitting.append(number)
    return fitting


def _passages(ids: Sequence[str], used: Mapping[int, int], sources: Sources) -> list[list[str]]:
    """Id, title and text of every passage; the id alone where its text is not known or left off."""
    found = [sources.passages.get(id) for id in ids]
    texts = {number: [one.title, _cut(one.text, LONGEST_PASSAGE)] for number, one in enumerate(found) if one}
    order = sorted(texts, key=lambda number: -used.get(number, 0))
    fitting = set(_within((number, sum(map(len, texts[number]))) for number in order))
    return [[id, *(texts[number] if number in fitting else ())] for number, id in enumerate(ids)]


def _fact(row: FactRow, report: Report, sources: Sources, chunks: _Names) -> list[Any]:
    """A fact with the share right of each arm, its training rows, and where its evidence stands."""
    place = sources.places.get(row.fact_id)
    shares = [row.shares.get(arm.arm) for arm in report.arms]
    where = [chunks.number(place.passage), *_in_units(sources, place)] if place else None
    texts = (_cut(text, LONGEST) for text in (row.statement, row.gold, row.document))
    return [row.fact_id, *texts, shares, sources.rows.get(row.fact_id), where]


def _in_units(sources: Sources, place: Place) -> tuple[int, int]:
    """Start and end as scripts count, in units of UTF-16: rare Han characters and emoji are two."""
    passage = sources.passages.get(place.passage)
    before = [passage.text[:end] if passage else "" for end in (place.start, place.end)]
    start, end = (len(text.encode("utf-16-le", "surrogatepass")) // 2 for text in before)
    return start, end


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "…"


def _pair(text: Text) -> list[str]:
    return [text.en, text.zh]
