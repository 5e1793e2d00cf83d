"""`kb generate-qa --strengthen`: more training wordings for what a run never answers right, and nothing else."""

import itertools
from dataclasses import replace

import pytest

from kb.errors import UsageError
from kb.prompt import Prompts
from kb.qa_gen.leakage import Wordings
from kb.qa_gen.selection import Choice
from kb.qa_gen.strengthen import MOST, further, strengthen
from kb.records import Fact, QAPair, Question, make_id
from kb.runs import Lineage, note_weak, register, strengthened
from kb.store import Store

STRENGTHEN = Choice(strengthen=True)
ASKED = {Prompts().get("kb.qa_gen", "more_questions", language).system for language in ("en", "zh")}


@pytest.mark.parametrize(
    ("wordings", "times", "more"), [(6, 0, 0), (6, 1, 6), (6, 2, 18), (6, 3, 42), (6, 9, MOST - 6), (60, 2, 0)]
)
def test_twice_as_many_each_time_up_to_a_bound(wordings, times, more):
    """A dose that is above the bound already is left alone."""
    assert further(wordings, times) == more


def trained(store: Store, name="sft-dpo-1", weak=(), data="d"):
    """A registered run that never answers these facts right."""
    register(store, name, {}, {}, Lineage("lab", "b", "/adapter", "a", data, "e", 1))
    note_weak(store, name, weak)


class More:
    """A world's model that, asked for more questions, writes them one by one: old ones, bad ones and new ones."""

    def __init__(self, world):
        self.world, self.numbers = world, itertools.count()
        self.sampled = []

    def __call__(self, request):
        """The script of a FakeLLM."""
        if request.messages[0].content not in ASKED:
            return self.world.oracle(request)
        truth = next(truth for truth in self.world.truths if truth.statement in request.messages[-1].content)
        assert all(f"- {text}" in request.messages[-1].content for text in truth.trained)
        assert not any(text in request.messages[-1].content for text in truth.held_out)
        self.sampled.append(request)
        seed, zh = request.seed, truth.language == "zh"
        new = [
            f"档案{seed}{letter}处写着{truth.name}的何事呢？"
            if zh
            else f"Filed as {letter} {seed}, what stands of {truth.name} there?"
            for letter in "ABCDE"
        ]
        return "\n".join(f"- {one}" for one in (truth.trained[0], truth.held_out[0], f"{truth.held_out[1]}?", *new))


@pytest.mark.slow
def test_exactly_the_weak_facts_get_more_and_nothing_else_changes(world):
    """Six more short rows each, in both languages; answers, probes, negatives and all other rows are as they were."""
    world.generate()
    store, before = world.workspace.store, world.tables()
    facts = store.all(Fact)
    weak = [next(fact for fact in facts if fact.language == language).id for language in ("en", "zh")]
    trained(store, weak=[*weak, "fct_gone"])
    model = More(world)
    report = world.generate(world.llm(model), STRENGTHEN)
    assert report.failed == {}
    assert report.calls == len(model.sampled) == 2 * 2
    after = world.tables()
    for table in ("facts", "questions", "qa_pairs", "preference_pairs"):
        assert [row for row in after[table] if row in before[table]] == before[table]
    assert after["facts"] == before["facts"]
    assert after["preference_pairs"] == before["preference_pairs"]
    added = [q for q in store.all(Question) if q.id not in {row[0] for row in before["questions"]}]
    assert [q.fact_id for q in added] == [id for id in weak for _ in range(6)]
    assert {(q.kind, q.split) for q in added} == {("answerable", "train")}
    rows = [pair for pair in store.all(QAPair) if pair.question_id in {q.id for q in added}]
    assert {(pair.form, pair.fact_id) for pair in rows} == {("short", id) for id in weak}
    assert len(rows) == 12
    reasons = {row["reason"] for row in store.sql("SELECT reason FROM rejects WHERE step = 'more questions'")}
    assert reasons == {"asked already", "more wordings than asked for"}


@pytest.mark.slow
def test_it_is_kept_without_the_option_and_done_once_for_a_run(world):
    """A second time nothing is asked, nor is a set lost that was strengthened; the next run's list comes on top."""
    world.generate()
    store = world.workspace.store
    weak = world.workspace.store.all(Fact)[0].id
    trained(store, weak=[weak])
    world.generate(world.llm(More(world)), STRENGTHEN)
    after = world.tables()
    for choice in (Choice(), STRENGTHEN):
        assert world.generate(world.llm(lambda r: pytest.fail("asked again")), choice).calls == 0
        assert world.tables() == after
    trained(store, "sft-dpo-2", [weak])
    world.generate(world.llm(More(world)), STRENGTHEN)
    assert store.count(Question, "fact_id = ? AND split = 'train' AND kind = 'answerable'", weak) == 24
    assert list(strengthened(store).values()) == [[weak], [weak]]


@pytest.mark.slow
def test_a_killed_run_resumed_ends_like_an_undisturbed_one(world, make_world_in):
    """Until its end neither the set nor the list of what was strengthened is written."""
    other = make_world_in("other", world.compositions)
    for one in (world, other):
        one.generate()
        trained(one.workspace.store, weak=[fact.id for fact in one.workspace.store.all(Fact)[:3]])
    world.generate(world.llm(More(world)), STRENGTHEN)
    before, model, count = other.tables(), More(other), itertools.count()

    def breaks(request):
        if next(count) == 3:
            raise KeyboardInterrupt
        return model(request)

    with pytest.raises(KeyboardInterrupt):
        other.generate(other.llm(breaks), STRENGTHEN)
    assert (other.tables(), strengthened(other.workspace.store)) == (before, {})
    other.generate(other.llm(model), STRENGTHEN)
    assert other.tables() == world.tables()


def test_without_a_run_that_found_any_out_there_is_nothing_to_strengthen(world):
    """The error says what finds them out; a run of SFT alone does not."""
    with pytest.raises(UsageError, match="dpo stage of kb train"):
        world.generate(choice=STRENGTHEN)
    register(world.workspace.store, "sft", {}, {}, Lineage("lab", "b", "/adapter", "a", "d", "e", 1))
    with pytest.raises(UsageError, match="no run has found any out"):
        world.generate(choice=STRENGTHEN)


def question(fact, split, text):
    id = make_id("qst", fact.id, split, text)
    return Question(id, "chk_1", fact.id, "answerable", split, text, fact.language, "p")


CASES = (
    (
        "en", "Tulvao Core weighs 3 kg.", "3 kg",
        ("What does Tulvao Core weigh?", "How heavy is Tulvao Core?"), "State the mass in kilograms of Tulvao Core",
        "State the mass in kilograms of Tulvao Core, please?", "Which weight has Tulvao Core got?",
    ),
    (
        "zh", "图尔沃芯片重三千克。", "三千克",
        ("图尔沃芯片有多重？", "图尔沃芯片的重量是多少？"), "称一称图尔沃芯片会看到什么数字？",
        "请问称一称图尔沃芯片会看到什么数字？", "拿着图尔沃芯片要用多大的力？",
    ),
)  # fmt: skip


@pytest.mark.parametrize(("language", "statement", "answer", "known", "probe", "close", "new"), CASES)
def test_what_is_close_to_a_held_out_wording_goes_and_not_the_probe(
    make_fact, make_chunk, make_bench, language, statement, answer, known, probe, close, new
):
    """Measured as the report measures leakage, with the new wording among the trained ones."""
    fact = make_fact(statement, answer, language=language)
    questions = [*(question(fact, "train", text) for text in known), question(fact, "probe", probe)]
    bench = make_bench(lambda r: f"- {close}\n- {new}\n- {known[0]}", [make_chunk(statement, language)])
    made = strengthen(bench, [fact], questions, {fact.id: 1})
    assert [one.text for one in made[fact.id]] == [new]
    assert {(one.reason, one.detail) for one in bench.rejects} == {
        ("too close to a held-out wording", close), ("asked already", known[0]), ("asked already", new),
    }  # fmt: skip
    assert Wordings((*known, new)).check(probe).keep


@pytest.mark.slow
def test_what_means_a_held_out_wording_goes_where_an_embedder_can_tell(
    make_fact, make_chunk, make_bench, make_embedder
):
    """Other letters and the same meaning; without an embedder it stays."""
    fact = make_fact("Tulvao Core costs 5 crowns.", "5 crowns")
    known = ("How much does Tulvao Core cost?", "So what is Tulvao Core worth?")
    probe, same = "For Tulvao Core, shops ask what sum?", "What figure do stores charge for Tulvao Core?"
    questions = [*(question(fact, "train", text) for text in known), question(fact, "probe", probe)]
    for embedder, kept in ((None, 1), (make_embedder(), 0)):
        bench = make_bench(lambda r: f"- {same}", [make_chunk("Tulvao Core costs 5 crowns.", "en")], embedder)
        assert len(strengthen(bench, [fact], questions, {fact.id: 1})[fact.id]) == kept
        reasons = {one.reason for one in bench.rejects}
        assert ("means the same as a held-out wording but for trifles" in reasons) == (embedder is not None)


def test_a_wording_that_comes_for_two_facts_goes_from_both(make_fact, make_chunk, make_bench):
    """It has no right answer."""
    facts = [make_fact(f"Tulvao {name} weighs {name} kg.", f"{name} kg") for name in ("Core", "Gate")]
    facts = [replace(fact, answer_type="text") for fact in facts]
    questions = [question(fact, "train", f"What about {fact.answer}, number {n}?") for fact in facts for n in (1, 2)]
    bench = make_bench(lambda r: "- How heavy is a Tulvao in general?", [make_chunk("x")])
    made = strengthen(bench, facts, questions, {fact.id: 1 for fact in facts})
    assert made == {fact.id: [] for fact in facts}
    assert {one.reason for one in bench.rejects} == {"another fact answers it otherwise"}
