"""`kb qa-report`: what a set is worth, and whether its judge can be believed."""

import json

import pytest

from kb.corpora.judging import known_cases
from kb.errors import WorkspaceError
from kb.llm.fake import FakeLLM
from kb.prompt import Prompts
from kb.qa_gen.faithful import Share, sample
from kb.qa_gen.meaning import Meaning
from kb.qa_gen.report import judged, measure, run
from kb.text.match import judge

pytestmark = pytest.mark.slow


class Reader:
    """Reads the truth from a world's documents and from the known cases; wrong on every `lapse`-th fact it is asked."""

    def __init__(self, world, known, lapse=0):
        self.answers = {question: truth.answer for truth in world.truths for question in truth.trained}
        self.known = {(case.passages, case.question): case.answer for case in known if case.is_true}
        self.lapse, self.asked = lapse, 0

    def __call__(self, request):
        """The script of a FakeLLM."""
        passages, _, question = (
            request.messages[-1].content.replace("\n\n问题：", "\n\nQuestion: ").rpartition("\n\nQuestion: ")
        )
        if question in self.answers:
            self.asked += 1
            return "something else" if self.lapse and self.asked % self.lapse == 0 else self.answers[question]
        found = [answer for (shown, asked), answer in self.known.items() if shown in passages and asked == question]
        return found[0] if found else "I don't know."


@pytest.fixture
def made(make_world_in):
    """A world of which everything was made."""
    world = make_world_in()
    world.generate()
    return world


def test_the_report_of_a_perfect_set(made):
    """All that is stated is asked about; nothing leaks; the JSON that stands beside the set is the same report."""
    report = run(made.workspace)
    assert (report.facts, report.drafted, report.dropped) == (40, 40, {})
    assert report.quality.leakage.leaked == report.quality.doubles == 0
    assert report.quality.wordings == 6.0
    # Sentences of filler state nothing and are what is left.
    stated = sum(any(t.evidence in gap.text for t in made.truths) for gap in report.coverage.untouched)
    assert stated == 0
    said = json.loads(made.workspace.qa_report.read_text(encoding="utf-8"))
    assert said == json.loads(json.dumps(report.json()))
    assert said["coverage"]["whole"]["share"] == report.coverage.whole.asked / report.coverage.whole.units
    assert any(line.startswith("faithfulness: not judged") for line in report.lines())
    assert {"embedding: no embedder reads en", "embedding: no embedder reads zh"} <= set(report.lines())


def test_generation_leaves_a_report_and_no_stale_one(made):
    """Each run writes it anew, and takes it away when nothing came."""
    assert json.loads(made.workspace.qa_report.read_text(encoding="utf-8"))["facts"] == 40
    made.workspace.store.sql("DELETE FROM llm_calls")
    assert made.generate(made.llm(lambda request: "NONE")).facts == 0
    assert not made.workspace.qa_report.exists()
    with pytest.raises(WorkspaceError, match="kb generate-qa"):
        measure(made.workspace.store)


def test_the_report_says_how_its_limit_was_measured(made, make_embedder):
    """For each language that is read; for the other one that nothing reads it, and where it cannot be told, that."""
    report = run(made.workspace, Meaning(make_embedder(reads=("en",)), made.workspace.store))
    lines = report.lines()
    assert "embedding: no embedder reads zh" in lines
    assert any(line.startswith("embedding, en: 0 of 120 held-out wordings nearer than 0.") for line in lines)
    assert any(line.startswith("  limit: words, cosine 0.") and "of 288 real rewordings" in line for line in lines)
    said = json.loads(made.workspace.qa_report.read_text(encoding="utf-8"))["quality"]["meaning"]
    assert said["zh"]["limit"] is None
    assert said["en"]["limit"]["usable"] is True
    blind = run(made.workspace, Meaning(make_embedder(blind=True, identity="blind"), made.workspace.store))
    assert sum("the embedder cannot tell what leaks" in line for line in blind.lines()) == 2


@pytest.mark.parametrize("lapse", [0, 4])
def test_the_judge_is_measured_on_what_is_known(made, lapse):
    """Facts that their own passage answers otherwise are named; the known cases say how often the judge is right."""
    known = known_cases(60)
    reader = Reader(made, known, lapse)
    report = judged(made.workspace, run(made.workspace), FakeLLM(reader), Prompts(), 40, known)
    found = report.faithfulness
    assert (found.sensitivity.hits, found.specificity.hits) == (30, 30)
    assert found.upheld.of == 40
    assert len(found.doubtful) == found.upheld.of - found.upheld.hits == (10 if lapse else 0)
    assert "faithfulness" in json.loads(made.workspace.qa_report.read_text(encoding="utf-8"))
    assert made.workspace.store.failures("qa-report: faithfulness") == []


def test_what_the_judge_said_stays_as_long_as_it_is_of_this_set(made):
    """Through reports and generations that change nothing; of another set it goes, and the line says why."""
    known = known_cases(20)
    found = judged(made.workspace, run(made.workspace), FakeLLM(Reader(made, known)), Prompts(), 10, known)
    assert run(made.workspace) == found
    made.generate()
    said = json.loads(made.workspace.qa_report.read_text(encoding="utf-8"))
    assert said["faithfulness"] == json.loads(json.dumps(found.json()))["faithfulness"]
    made.generate(limit=1)
    report = run(made.workspace)
    assert (report.faithfulness, report.judged_other) == (None, True)
    assert report.lines()[-1].startswith("faithfulness: judged on another set")
    made.generate()
    assert run(made.workspace) == found


def test_a_judge_that_upholds_everything_is_found_out(made):
    """A model that repeats the claimed answer upholds what is false, and the report says so."""
    known = known_cases(40)
    claims = {case.question: case.answer for case in [*known, *sample(made.workspace.store, 40)]}
    parrot = FakeLLM(lambda r: claims[r.messages[-1].content.replace("问题：", "Question: ").rpartition(": ")[2]])
    found = judged(made.workspace, run(made.workspace), parrot, Prompts(), 40, known).faithfulness
    assert found.upheld.value == 1.0
    assert found.specificity.value < 0.7


def test_known_cases_are_true_and_false_by_halves():
    """Both languages; a true case's answer stands in its passage; a false one's value or name does not fit."""
    cases = known_cases(80)
    assert [case.is_true for case in cases] == [True, False] * 40
    assert {case.language for case in cases} == {"en", "zh"}
    assert len({case.id for case in cases}) == 80
    for true, false in zip(cases[::2], cases[1::2], strict=True):
        assert true.answer in true.passages
        assert true.passages == false.passages
        assert (true.question == false.question) != (true.answer == false.answer)
        assert (
            judge(true.answer, false.answer, true.answer_type).verdict != "correct" or true.question != false.question
        )
    assert known_cases(80) == cases


def test_intervals_are_those_of_wilson():
    """Against values worked out by hand; of nothing, everything is possible."""
    low, high = Share(95, 100).interval
    assert (round(low, 4), round(high, 4)) == (0.8882, 0.9785)
    assert (Share(0, 0).value, Share(0, 0).interval) == (0.0, (0.0, 1.0))
