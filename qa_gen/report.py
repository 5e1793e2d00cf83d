"""`kb qa-report`: what the set that `kb generate-qa` made is worth, from the store; judged by a model on request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from kb.errors import WorkspaceError
from kb.llm import LLM
from kb.llm.known import KnownMix, known_mixes
from kb.prompt import Prompts
from kb.qa_gen.asking import STAGE
from kb.qa_gen.coverage import Coverage, Covered, Untouched, measure_coverage
from kb.qa_gen.faithful import (
    Case,
    Faithfulness,
    facts_hash,
    keep,
    last_judging,
    measure_faithfulness,
    sample,
)
from kb.qa_gen.leakage import LEAK
from kb.qa_gen.meaning import Meaning
from kb.qa_gen.quality import Mix, Nearness, Quality, measure_quality
from kb.records import Fact
from kb.store import Store, histogram
from kb.workspace import Workspace, write_json

SHOWN = 5
"""Documents, passages and facts that the terminal names; the JSON has all."""
WIDTH = 90
"""Characters of a passage that the terminal shows."""


@dataclass(frozen=True)
class QaReport:
    """What `kb qa-report` found."""

    facts: int
    drafted: int
    """Facts that the model wrote, those that were dropped included."""
    dropped: Mix
    """Facts by the reason they were dropped for."""
    coverage: Coverage
    quality: Quality
    knownness: Sequence[KnownMix] = ()
    """Of each model that was asked."""
    faithfulness: Faithfulness | None = None
    """What the judge said of this very set."""
    judged_other: bool = False
    """Whether the judge was asked last about facts of another set."""

    def json(self) -> dict[str, Any]:
        """As one JSON document, shares and intervals included."""
        made = asdict(self)
        made["coverage"]["whole"]["share"] = self.coverage.whole.share
        for kind in ("documents", "sections"):
            for row, one in zip(made["coverage"][kind], getattr(self.coverage, kind), strict=True):
                row["share"] = one.share
        for language, one in self.quality.meaning.items():
            if one.limit:
                made["quality"]["meaning"][language]["limit"]["usable"] = one.limit.usable
        if self.faithfulness:
            for name in ("upheld", "sensitivity", "specificity"):
                share = getattr(self.faithfulness, name)
                made["faithfulness"][name] |= {"value": share.value, "interval": share.interval}
        return made

    def lines(self) -> list[str]:
        """For the terminal."""
        dropped = "; ".join(f"{reason} {count}" for reason, count in self.dropped.items())
        return [
            f"facts: {self.facts} of {self.drafted} drafted" + (f"; dropped: {dropped}" if dropped else ""),
            *_coverage_lines(self.coverage),
            *_quality_lines(self.quality),
            *([f"knownness: {mix}" for mix in self.knownness] or [UNASKED]),
            *(_faithful_lines(self.faithfulness) if self.faithfulness else [STALE if self.judged_other else UNJUDGED]),
        ]


UNASKED = "knownness: not measured; kb generate-qa with [generate] known_samples = 10 asks the model"
UNJUDGED = "faithfulness: not judged; kb qa-report --judge 200 asks the model about so many facts"

STALE = "faithfulness: judged on another set, so not known of this one; kb qa-report --judge 200 judges this one"


def run(workspace: Workspace, meaning: Meaning | None = None) -> QaReport:
    """Measure the set and write that beside it; see `measure`."""
    report = measure(workspace.store, meaning)
    write_json(workspace.qa_report, report.json())
    return report


def renew(workspace: Workspace, meaning: Meaning) -> None:
    """The report of a set that has just been made; where nothing came of it, none."""
    if workspace.store.count(Fact):
        run(workspace, meaning)
    else:
        workspace.qa_report.unlink(missing_ok=True)


def judged(
    workspace: Workspace, report: QaReport, llm: LLM, prompts: Prompts, size: int, known: Sequence[Case]
) -> QaReport:
    """The report with the faithfulness of `size` facts; `known` are cases that show how good the judge is."""
    found = measure_faithfulness(llm, workspace.store, prompts, sample(workspace.store, size), known)
    keep(workspace.store, found)
    report = replace(report, faithfulness=found, judged_other=False)
    write_json(workspace.qa_report, report.json())
    return report


def measure(store: Store, meaning: Meaning | None = None) -> QaReport:
    """Everything that needs no model but the embedder of `meaning`, where there is one; what the judge said last, if it
    was of this set. Raises WorkspaceError when there is none.
    """
    facts = store.count(Fact)
    if not facts:
        raise WorkspaceError("there are no facts to report on. Make them with: kb generate-qa")
    rows = store.sql("SELECT reason, detail FROM rejects WHERE stage = ? AND step = 'facts'", STAGE)
    dropped = histogram([("", row["reason"], row["detail"]) for row in rows])
    known = tuple(known_mixes(store))
    judging = last_judging(store)
    current = judging is not None and judging.facts == facts_hash(store)
    quality = measure_quality(store, meaning or Meaning(None, store))
    return QaReport(
        facts, facts + len(rows), dropped, measure_coverage(store), quality, known,
        judging if current else None, judging is not None and not current,
    )  # fmt: skip


def _coverage_lines(coverage: Coverage) -> list[str]:
    whole = coverage.whole
    least = sorted(coverage.documents, key=lambda one: (one.share, -one.units, one.name))
    least = [one for one in least if one.asked < one.units][:SHOWN]
    rest = coverage.untouched[:SHOWN]
    return [
        f"coverage: {_share(whole)} sentences and rows are asked about ({len(coverage.documents)} documents)",
        *(f"  {_share(one)}  {one.name}" for one in least),
        *([f"no fact was taken from {len(coverage.untouched)} passages, such as:"] if rest else []),
        *(f"  {one.chunk}  {_cut(one)}" for one in rest),
    ]


def _share(covered: Covered) -> str:
    return f"{covered.share:.3f} ({covered.asked} of {covered.units})"


def _cut(passage: Untouched) -> str:
    text = " ".join(passage.text.split())
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."


def _quality_lines(quality: Quality) -> list[str]:
    leakage = quality.leakage
    mixes = (
        ("types", quality.types), ("languages", quality.languages), ("taught by", quality.taught),
        ("rows", quality.forms), ("held out", quality.held_out),
    )  # fmt: skip
    return [
        *(f"{name}: {', '.join(f'{key} {count}' for key, count in mix.items())}" for name, mix in mixes),
        f"wordings: {quality.wordings:.1f} a fact, alike by {quality.likeness:.2f} (0 nothing in common, 1 the same);"
        f" {quality.doubles} questions twice; {quality.repeats} of {quality.trained} are another one but for trifles",
        f"leakage: {leakage.leaked} of {leakage.probes} held-out wordings nearer than {LEAK} to a trained one"
        f" (median {leakage.median:.2f}, nearest {leakage.most:.2f})",
        *(line for language, found in quality.meaning.items() for line in _meaning_lines(language, found)),
    ]


def _meaning_lines(language: str, found: Nearness) -> list[str]:
    if found.limit is None:
        return [f"embedding: no embedder reads {language}"]
    leaked = f"{found.leaked} of {found.probes} held-out wordings nearer than {found.limit.cosine:.3f} to a trained one"
    unnamed = f"; not compared, for want of a name to leave out: {found.unnamed}" if found.unnamed else ""
    return [
        f"embedding, {language}: {leaked if found.limit.usable else 'the embedder cannot tell what leaks'}"
        f" (median {found.median:.2f}, nearest {found.most:.2f}); trained ones alike by {found.likeness:.2f}{unnamed}",
        f"  limit: {found.limit}",
    ]


def _faithful_lines(found: Faithfulness) -> list[str]:
    named = ", ".join(found.doubtful[:SHOWN]) + (", ..." if len(found.doubtful) > SHOWN else "")
    return [
        f"faithfulness: {found.upheld} of the sampled facts are what their own passage answers"
        + (f"; look at: {named}" if found.doubtful else "")
        + (f"; {found.unjudged} could not be judged" if found.unjudged else ""),
        f"the judge, on the fictional world: upholds {found.sensitivity} of what is true,"
        f" rejects {found.specificity} of what is false",
    ]
