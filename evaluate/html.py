"""A report as one self-contained page: no script, style, font or image from anywhere else, and nothing sent anywhere.

`templates/report.html` is the frame, `report.css` and `report.js` go into it; `sections.py` writes what is fixed, and
the answers travel as JSON that the script searches, filters and pages through. A content security policy in the page
forbids every connection.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from string import Template
from typing import Any

from kb.evaluate import wording
from kb.evaluate.markup import escape
from kb.evaluate.results import VERDICTS, Report, Text
from kb.evaluate.sections import heat_order, sections
from kb.records import Probe, Score

MOST_ANSWERS = 50_000
"""Answers on the page; of more, probes at even distances are taken, with all their arms. answers.jsonl has all."""
LONGEST = 400
"""Characters of a question or answer that are shown."""


def as_html(report: Report, probes: Sequence[Probe], scores: Sequence[Score]) -> str:
    """The page. Text from documents and models is escaped; it can neither end the script nor become markup."""
    templates = files("kb.evaluate") / "templates"
    frame, style, script = ((templates / f"report.{suffix}").read_text("utf-8") for suffix in ("html", "css", "js"))
    return Template(frame).substitute(
        title=escape(report.name or "kb"),
        style=style,
        body=sections(report),
        data=embedded(browser_data(report, probes, scores)),
        script=script,
    )


def embedded(value: Any) -> str:
    """JSON that can stand in a script element: `<` is written as an escape, so no `</script>` or comment can begin."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def browser_data(report: Report, probes: Sequence[Probe], scores: Sequence[Score]) -> dict[str, Any]:
    """What the script needs: the facts in the order of the heat map, and a sample of the probes with their answers."""
    answers: dict[str, list[Score]] = {}
    for score in scores:
        answers.setdefault(score.probe_id, []).append(score)
    kinds = list(wording.KINDS)
    asked = [probe for probe in probes if probe.id in answers]
    asked.sort(key=lambda probe: (kinds.index(probe.kind) if probe.kind in kinds else 99, probe.fact_id, probe.id))
    arms = list(dict.fromkeys([*(arm.arm for arm in report.arms), *sorted({score.arm for score in scores})]))
    rules, chunks = _Names(), _Names()
    rows = []
    for probe in asked[:: _stride(len(scores))]:
        given = [
            [
                arms.index(score.arm), VERDICTS.index(score.verdict), _cut(score.answer), rules.number(score.rule),
                [chunks.number(chunk) for chunk in score.passages],
            ]
            for score in sorted(answers[probe.id], key=lambda score: arms.index(score.arm))
        ]  # fmt: skip
        rows.append([probe.id, probe.fact_id, probe.kind, _cut(probe.question), probe.gold, given])
    facts = [
        [row.fact_id, row.statement, row.gold, row.document, [row.shares.get(arm.arm) for arm in report.arms]]
        for group in heat_order(report)
        for row in group
    ]
    return {
        "arms": [_pair(wording.named(wording.ARMS, arm)) for arm in arms],
        "verdicts": [_pair(wording.VERDICTS[verdict]) for verdict in VERDICTS],
        "kinds": {kind: _pair(text) for kind, text in wording.KINDS.items()},
        "rules": rules.names,
        "chunks": chunks.names,
        "facts": facts,
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


def _stride(answers: int) -> int:
    return max(1, -(-answers // MOST_ANSWERS))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def _pair(text: Text) -> list[str]:
    return [text.en, text.zh]
