"""`kb generate-qa --for-failures`: more rows of the right kind for exactly the facts that need them."""

import itertools
import json
from collections import Counter

import pytest

from kb.corpora.oracle import REVERSED_PROBES, reversed_wordings
from kb.errors import UsageError
from kb.evaluate.probes import document_probes, leaked
from kb.llm.tuned import TRAINED
from kb.prompt import Prompts
from kb.qa_gen.contrast import make_contrast, wanted
from kb.qa_gen.remedies import SETTINGS, prescribe, read_failures, uncured_lines
from kb.qa_gen.selection import Choice
from kb.records import Diagnosis, Fact, Probe, QAPair, Question, Score, make_id
from kb.runs import Lineage, register

pytestmark = pytest.mark.slow

STEPS = {
    Prompts().get("kb.qa_gen", name, language).system: name
    for name in ("more_questions", "near_miss", "reversed") for language in ("en", "zh")
}  # fmt: skip
LAST = Choice(failures="")


def evaluated(store, found, run="sft-1", number="abc123"):
    """Register a run and store what an evaluation of it found: fact id to findings."""
    register(store, run, {}, {}, Lineage("lab", "b", "/adapter", "a", "d", "e", 1))
    name = f"{run}-{number}"
    store.put([Probe("prb", "fct", "held_out", "?", "4", "number", "en")], eval=name)
    store.put([Score("prb", "tuned", "4", "correct", "value")], eval=name)
    store.put([Diagnosis(fact, tuple(findings)) for fact, findings in found.items()], eval=name)
    return name


class More:
    """A world's model that, drawn from for one of the further steps, writes something new each time."""

    def __init__(self, world):
        self.world, self.asked = world, Counter()

    def __call__(self, request):
        """The script of a FakeLLM."""
        step = STEPS.get(request.messages[0].content, "")
        if step not in ("more_questions", "reversed", "near_miss") or not request.temperature:
            return self.world.oracle(request)
        said, seed = request.messages[-1].content, request.seed
        if step == "near_miss":
            truth = next(t for t in self.world.truths if any(text in said for text in t.trained))
            made = f"Qx{seed}" if truth.language == "en" else f"某{seed}"
            self.asked[step] += 1
            text = next(text for text in truth.trained if text in said)
            return "- " + text.replace(truth.name, f"{made} {truth.name}")
        truth = next(t for t in self.world.truths if t.statement in said)
        self.asked[step] += 1
        zh = truth.language == "zh"
        if step == "more_questions":
            lines = [
                f"档案{seed}{letter}处写着{truth.name}的何事呢？"
                if zh else f"Filed as {letter} {seed}, what stands of {truth.name} there?"
                for letter in "ABCDE"
            ]  # fmt: skip
            return "\n".join(f"- {one}" for one in (truth.held_out[0], *lines))
        lines = [
            f"卷宗{seed}{letter}提到{truth.answer}，那是在讲什么？"
            if zh else f"Folder {letter}{seed} mentions {truth.answer}; which entry would that be about?"
            for letter in "AB"
        ]  # fmt: skip
        probe = reversed_wordings(truth, REVERSED_PROBES)[0]
        subject = ("对象：" if zh else "SUBJECT: ") + truth.name
        return "\n".join([subject, *(f"- {one}" for one in (probe, reversed_wordings(truth)[0], *lines))])


def kinds(store):
    """Facts by what can be wrong with them: one with a held-out near miss, and two that are asked backwards."""
    facts = [fact for fact in store.all(Fact) if fact.taught == "questions"]
    near = {q.fact_id for q in store.all(Question) if q.kind == "near_miss" and q.split == "probe"}
    turned = {q.fact_id for q in store.all(Question) if q.kind == "reversed" and q.split == "train"}
    missed = [fact.id for fact in facts if fact.id in near]
    backwards = [fact.id for fact in facts if fact.id in turned and fact.id not in missed[:1]]
    rest = [fact.id for fact in facts if fact.id not in {*missed[:1], *backwards[:1]}]
    return missed[0], backwards[0], rest


def test_each_finding_gets_its_rows_and_nothing_else_changes(world):
    """Wordings, reversed questions and near misses, all trained, for these facts alone; what no row cures is said, and
    no held-out wording is among the rows.
    """
    world.generate(near_miss_share=1.0)
    store, before = world.workspace.store, world.tables()
    missed, backwards, rest = kinds(store)
    evaluated(
        store,
        {
            missed: ("near_miss_answered",), backwards: ("reversed_fails",), rest[0]: ("phrasing_overfit",),
            rest[1]: ("question_defect", "under_trained"), rest[2]: ("retrieval_defect", "unstable"),
            rest[3]: ("learnt",), "fct_gone": ("under_trained",),
        },
    )  # fmt: skip
    model = More(world)
    trained = store.count(QAPair, TRAINED)
    report = world.generate(world.llm(model), LAST, near_miss_share=1.0)
    assert report.failed == {}
    assert report.uncured == {"question_defect": [rest[1]], "retrieval_defect": [rest[2]]}
    assert f"not cured by further rows, question defect: 1 ({rest[1]})" in report.lines()
    after = world.tables()
    for table in ("facts", "questions", "qa_pairs", "preference_pairs"):
        assert [row for row in after[table] if row in before[table]] == before[table]
    old = {row[0] for row in before["questions"]}
    added = [question for question in store.all(Question) if question.id not in old]
    assert {question.split for question in added} == {"train"}
    assert Counter((question.fact_id, question.kind) for question in added) == {
        (missed, "near_miss"): 2, (backwards, "reversed"): 3, (rest[0], "answerable"): 6, (rest[2], "answerable"): 6,
    }  # fmt: skip
    rows = Counter(pair.form for pair in store.all(QAPair) if pair.question_id not in old)
    assert rows == {"refusal": 2, "reversed": 3, "short": 12}
    assert store.count(QAPair, TRAINED) == trained + rows.total()
    assert leaked(store, document_probes(store, 9, 0)) == []
    dropped = store.sql("SELECT step, reason FROM rejects WHERE step IN ('more reversed', 'more questions')")
    assert ("more reversed", "too close to a held-out wording") in {tuple(row) for row in dropped}


def test_it_is_kept_without_the_option_and_done_once_for_an_evaluation(world):
    """A second time nothing is asked; a further evaluation that finds the same doubles what is written."""
    world.generate()
    store = world.workspace.store
    fact = kinds(store)[2][0]
    evaluated(store, {fact: ("under_trained",)})
    world.generate(world.llm(More(world)), LAST)
    after = world.tables()
    for choice in (Choice(), LAST):
        assert world.generate(world.llm(lambda r: pytest.fail("asked again")), choice).calls == 0
        assert world.tables() == after
    evaluated(store, {fact: ("unstable",)}, number="def456")
    world.generate(world.llm(More(world)), LAST)
    assert store.count(Question, "fact_id = ? AND split = 'train' AND kind = 'answerable'", fact) == 24


def test_a_killed_run_resumed_ends_like_an_undisturbed_one(world, make_world_in):
    """Until its end neither the set nor the lists are written."""
    other = make_world_in("other", world.compositions)
    for one in (world, other):
        one.generate(near_miss_share=1.0)
        missed, backwards, rest = kinds(one.workspace.store)
        found = {missed: ("near_miss_answered",), backwards: ("reversed_fails",), rest[0]: ("unstable",)}
        evaluated(one.workspace.store, found)
    world.generate(world.llm(More(world)), LAST, near_miss_share=1.0)
    before, model, count = other.tables(), More(other), itertools.count()

    def breaks(request):
        if next(count) == 5:
            raise KeyboardInterrupt
        return model(request)

    with pytest.raises(KeyboardInterrupt):
        other.generate(other.llm(breaks), LAST, near_miss_share=1.0)
    assert other.tables() == before
    assert not any(prescribe(other.workspace.store, Choice()).lists.values())
    other.generate(other.llm(model), LAST, near_miss_share=1.0)
    assert other.tables() == world.tables()


def test_a_file_says_which_facts(world, tmp_path):
    """As `kb eval --export-failures` writes it; a shorter one of the same evaluation takes the place of the longer."""
    store, file = world.workspace.store, tmp_path / "failures.jsonl"
    rows = [{"evaluation": "e-1", "fact_id": f"fct_{n}", "findings": ["under_trained"], "wrong": []} for n in (1, 2)]
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    first = prescribe(store, Choice(failures=str(file)))
    assert first.lists == {"wordings": {"e-1": ["fct_1", "fct_2"]}, "reversed": {}, "contrast": {}}
    first.write(store)
    file.write_text(json.dumps(rows[0] | {"findings": ["reversed_fails", "retrieval_defect"]}), encoding="utf-8")
    second = prescribe(store, Choice(failures=str(file)))
    assert second.lists == {"wordings": {}, "reversed": {"e-1": ["fct_1"]}, "contrast": {}}
    assert second.uncured == {"retrieval_defect": ["fct_1"]}
    assert set(SETTINGS) == set(second.lists)


@pytest.mark.parametrize(
    "row",
    [{}, {"fact_id": "f", "findings": ["unstable"]}, {"evaluation": "e", "findings": ["unstable"]},
     {"evaluation": "e", "fact_id": "f", "findings": "unstable"},
     {"evaluation": "e", "fact_id": "f", "findings": ["x"]}],
)  # fmt: skip
def test_a_row_of_another_form_is_named_by_its_line(world, tmp_path, row):
    """Before a model is asked anything."""
    good = {"evaluation": "e", "fact_id": "f", "findings": ["unstable"]}
    (tmp_path / "f.jsonl").write_text(f"{json.dumps(good)}\n{json.dumps(row)}\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"f\.jsonl, line 2: expected evaluation, fact_id and findings"):
        read_failures(world.workspace.store, str(tmp_path / "f.jsonl"))


def test_without_anything_that_was_found_there_is_nothing_to_do(world, tmp_path):
    """The error says what finds something out; so does that of a file that is not there."""
    with pytest.raises(UsageError, match="found: kb eval --compare rag"):
        world.generate(choice=LAST)
    with pytest.raises(UsageError, match="there is no such file; kb eval --export-failures writes one"):
        read_failures(world.workspace.store, str(tmp_path / "none.jsonl"))


def test_uncured_facts_are_counted_and_the_first_named():
    """Five of them."""
    facts = [f"fct_{number}" for number in range(7)]
    assert uncured_lines({"ignores_context": facts}) == [
        "not cured by further rows, ignores context: 7 (fct_0, fct_1, fct_2, fct_3, fct_4, ...)"
    ]


def test_near_misses_double_up_to_a_bound():
    """None for a fact in no list."""
    assert [wanted(times) for times in (0, 1, 2, 3, 4, 9)] == [0, 2, 4, 8, 16, 16]


@pytest.mark.parametrize(
    ("language", "name", "frame", "made_up", "others"),
    [
        ("en", "Tulvao Core", "What does {} weigh?", "Tulvao Gore", ("Tulvao Tore", "Tulvao Bore")),
        ("zh", "图尔沃芯片", "{}有多重？", "图尔沃灯片", ("图尔沃铝片", "图尔沃锡片")),
    ],
)
def test_what_a_held_out_near_miss_makes_up_is_never_trained(
    make_fact, make_chunk, make_bench, wordings_of, language, name, frame, made_up, others
):
    """Not in other words either: the name that sets it apart from the fact's own questions stands in no row."""
    text = f"{name} weighs 3 kg." if language == "en" else f"{name}重3千克。"
    fact = make_fact(text, "3 kg" if language == "en" else "3千克", language=language)
    real, probe = frame.format(name), frame.format(made_up)
    id = make_id("qst", fact.chunk_id, "near_miss", probe)
    near = Question(id, fact.chunk_id, fact.id, "near_miss", "probe", probe, language, "p")
    polite = ("So " if language == "en" else "请问") + probe
    drawn = itertools.cycle([probe, polite, *(frame.format(other) for other in others), real])
    refusal = "I don't know." if language == "en" else "不知道。"
    system = Prompts().get("kb.qa_gen", "near_miss", language).system

    def script(request):
        return f"- {next(drawn)}" if request.messages[0].content == system else refusal

    bench = make_bench(script, [make_chunk(text, language)])
    made = make_contrast(bench, [fact], [*wordings_of(fact, [real]), near], {fact.id: 2})
    assert {(question.text, question.split, question.fact_id) for question in made} == {
        (frame.format(other), "train", fact.id) for other in others
    }
    assert {reject.reason for reject in bench.rejects} == {"asks what a held-out near miss asks", "asked already"}
