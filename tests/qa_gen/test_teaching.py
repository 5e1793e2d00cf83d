"""The controls: documents that are probed and never trained, and facts that only prose teaches."""

import json
import random
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from pyarrow.parquet import read_table

from kb.corpora.documents import compose
from kb.errors import ConfigError
from kb.finetune.config import TrainConfig
from kb.finetune.data import ready_preferences, training_rows
from kb.finetune.preference import own_preferences
from kb.llm.fake import FakeLLM
from kb.llm.tuned import placebo_documents
from kb.lookup import look_up
from kb.prompt import Prompts
from kb.qa_gen.config import GenerateConfig
from kb.qa_gen.faithful import sample
from kb.qa_gen.made import QASet
from kb.qa_gen.meaning import Meaning
from kb.qa_gen.quality import measure_quality
from kb.qa_gen.selection import Choice
from kb.qa_gen.teaching import leave_to_prose, withheld_chunks, withhold
from kb.qa_gen.trainers import run as export
from kb.records import Chunk, Document, Fact, FactSource, PreferencePair, QAPair, Question, Rewrite
from kb.status import status
from kb.workspace import read_jsonl

READ_ALL = TrainConfig(reading_share=1.0, reading_wordings=0)


@pytest.fixture
def shelf(make_bench, make_fact):
    """A function from names of documents to a bench with a chunk of each, and a fact that it alone states."""

    def make(names, **settings):
        bench = make_bench(lambda request: pytest.fail("asked"), **settings)
        for name in names:
            document = f"doc_{name}"
            bench.store.put([Document(document, f"/{name}", name, "txt", name, "en", "", (), f"doc_line_{name}")])
            bench.store.put([Chunk(f"chk_{name}", document, 0, "text", name, "en", 0, 4)])
        return bench, [make_fact(f"{name} weighs {name} kg.", f"{name} kg", chunk_id=f"chk_{name}") for name in names]

    return make


def withheld(shelf, names, **settings):
    """The documents of these that are placebo."""
    bench, facts = shelf(names, **settings)
    return {id.removeprefix("chk_") for id in withheld_chunks(withhold(bench, facts))}


@pytest.mark.slow
@pytest.mark.parametrize(("documents", "count"), [(1, 0), (19, 0), (20, 1), (39, 1), (40, 2), (60, 3)])
def test_one_document_in_twenty_is_never_taught(shelf, documents, count):
    """Rounded down, so none of fewer than twenty."""
    names = [str(number) for number in range(documents)]
    assert len(withheld(shelf, names)) == count
    assert withheld(shelf, names, placebo_share=0.0) == set()


@pytest.mark.slow
def test_a_further_document_changes_at_most_one_other(shelf):
    """A document is taught again only where the new one takes its place, and what is chosen depends on no order."""
    names = [str(number) for number in range(100)]
    before: set[str] = set()
    flips = 0
    for count in range(1, len(names) + 1):
        now = withheld(shelf, names[:count])
        new, others = names[count - 1], (now ^ before) - {names[count - 1]}
        assert len(others) <= 1
        assert not before - now or (new in now and len(now) == len(before))
        flips += len(before - now)
        before = now
    assert len(before) == 5
    assert flips < 10
    assert withheld(shelf, names[::-1]) == before


@pytest.mark.slow
def test_a_fact_that_a_trained_document_states_too_is_taught_from_there(shelf, make_fact):
    """Its evidence moves to the other place, and the one it had becomes a further source; its id stays."""
    (placebo,) = withheld(shelf, "ab", placebo_share=0.5)
    other = "b" if placebo == "a" else "a"
    bench, facts = shelf("ab", placebo_share=0.5)
    here = make_fact("Tulvao costs 5 crowns.", "5 crowns", "It is 5 crowns.", chunk_id=f"chk_{placebo}")
    there = make_fact("Tulvao costs 5 crowns.", "5 crowns", "The price: 5 crowns.", chunk_id=f"chk_{other}")
    bench.say_again(here, there)
    *_, found = made = withhold(bench, [*facts, here])
    assert (found.id, found.taught, found.chunk_id, found.evidence) == (
        here.id, "questions", f"chk_{other}", "The price: 5 crowns.",
    )  # fmt: skip
    assert [(one.fact_id, one.chunk_id, one.evidence) for one in bench.sources_of(made)] == [
        (here.id, f"chk_{placebo}", "It is 5 crowns.")
    ]
    assert {fact.chunk_id: fact.taught for fact in made[:2]} == {
        f"chk_{placebo}": "never", f"chk_{other}": "questions",
    }  # fmt: skip


@pytest.mark.slow
def test_a_fact_that_placebo_documents_alone_state_is_never_taught(shelf, make_fact):
    """However many of them do."""
    names = [str(number) for number in range(4)]
    first, second = sorted(withheld(shelf, names, placebo_share=0.5))
    bench, facts = shelf(names, placebo_share=0.5)
    here, there = (make_fact("Tulvao costs 5 crowns.", "5 crowns", chunk_id=f"chk_{one}") for one in (first, second))
    bench.say_again(here, there)
    found = withhold(bench, [*facts, here])[-1]
    assert (found.taught, found.chunk_id) == ("never", f"chk_{first}")


def test_a_document_that_says_nothing_of_its_own_is_no_placebo(shelf):
    """Its facts would all be taught from the other places; of a copy, which has no facts, the evidence stays."""
    (placebo,) = withheld(shelf, "ab", placebo_share=0.5)
    other = "b" if placebo == "a" else "a"
    bench, facts = shelf("ab", placebo_share=0.5)
    bench.store.put(
        [Document("doc_c", "/c", "c", "txt", "C", "en", ""), Chunk("chk_c", "doc_c", 0, "", "", "en", 0, 4)]
    )
    bench.store.sql("INSERT INTO copies VALUES ('chk_c', ?)", f"chk_{placebo}")
    assert {fact.chunk_id: fact.taught for fact in withhold(bench, facts)} == {
        f"chk_{placebo}": "questions", f"chk_{other}": "never",
    }  # fmt: skip
    bench.store.put([Chunk("chk_own", f"doc_{placebo}", 1, "text", "", "en", 4, 8)])
    own = Fact("fct_own", "chk_own", "x weighs 9 kg.", "9 kg", "number", "x weighs 9 kg.", 4, 8, "en")
    made = withhold(bench, [*facts, own])
    assert [(fact.chunk_id, fact.taught) for fact in made if fact.taught == "never"] == [("chk_own", "never")]
    assert bench.sources_of(made) == []


@pytest.mark.parametrize(
    ("text", "language", "answer", "taught"),
    [
        ("A buyer pays 1200 crowns for a Tulvao.", "en", "1,200 crowns", "text"),
        ("A Tulvao is dear.", "en", "1,200 crowns", "questions"),
        ("赤水阀门要价3000元。", "zh", "三千元", "text"),
        ("赤水阀门不便宜。", "zh", "三千元", "questions"),
    ],
)
def test_prose_alone_teaches_only_what_it_states(make_fact, text, language, answer, taught):
    """A fact that no kept text states would be taught by nothing; one that is never taught stays so."""
    fact = make_fact(f"X: {answer}", answer, language=language)
    rewrite = Rewrite("rew_1", "chk_1", "plain", text, language, "p")
    never = Fact(**(vars(fact) | {"taught": "never"}))
    assert [one.taught for one in leave_to_prose([fact, never], [rewrite], 1.0)] == [taught, "never"]
    assert leave_to_prose([fact], [rewrite], 0.0) == [fact]
    assert leave_to_prose([fact], [], 1.0) == [fact]


@pytest.mark.slow
def test_the_share_that_prose_alone_teaches_is_stable(make_fact):
    """About a tenth, chosen by the fact alone."""
    facts = [make_fact(f"{n} weighs {n} kg.", f"{n} kg") for n in range(400)]
    rewrites = [Rewrite("rew_1", "chk_1", "plain", " ".join(fact.statement for fact in facts), "en", "p")]
    chosen = {fact.id for fact in leave_to_prose(facts, rewrites, 0.1) if fact.taught == "text"}
    assert 20 < len(chosen) < 60
    fewer = leave_to_prose(facts[100:300], rewrites, 0.1)
    assert {fact.id for fact in fewer if fact.taught == "text"} == chosen & {fact.id for fact in facts[100:300]}


def test_no_training_question_of_a_withheld_fact_stays_in_a_set(make_fact):
    """Whichever step made it; nor a pair of another fact in which the answer is the wrong one."""
    told, shown, hidden = (make_fact(f"{n} weighs {n} kg.", f"{n} kg") for n in (1, 2, 3))
    facts = [told, Fact(**(vars(shown) | {"taught": "text"})), Fact(**(vars(hidden) | {"taught": "never"}))]
    kinds = ("answerable", "reversed", "near_miss", "detailed")
    questions = [
        Question(f"{fact.answer} {kind} {split}", "chk_1", fact.id, kind, split, f"{kind} {fact.answer}?", "en", "p")
        for fact in facts for kind in kinds for split in ("train", "probe")
    ]  # fmt: skip
    pairs = [QAPair(f"pair {q.id}", q.id, q.fact_id, "short", q.text, "x", "en") for q in questions]
    preferences = [
        PreferencePair(f"{q.id} {wrong}", q.id, q.fact_id, "swap", q.text, "x", wrong, "en")
        for q in questions for wrong in ("1 kg", "2 kg", "3 kg")
    ]  # fmt: skip
    made = QASet(facts, questions, pairs, preferences, [], [], []).withheld()
    trained = [question for question in made.questions if question.split == "train"]
    assert {question.fact_id for question in trained} == {told.id}
    assert Counter(question.split for question in made.questions) == {"train": 4, "probe": 12}
    assert {pair.question_id for pair in made.pairs} == {question.id for question in made.questions}
    assert {pair.rejected for pair in made.preferences} == {"1 kg"}


@pytest.mark.parametrize("setting", ["placebo_share", "text_only_share"])
def test_a_share_that_means_nothing_is_refused(setting):
    """Before the first request."""
    with pytest.raises(ConfigError, match=f"{setting}: expected a share from 0 to 1"):
        GenerateConfig(**{setting: 1.01})


def facts_of(world, taught):
    """The facts that are taught like this."""
    return world.workspace.store.all(Fact, "taught = ?", taught)


def truth_of(world, fact):
    """What the model knows of a fact."""
    return next(truth for truth in world.truths if truth.statement == fact.statement)


def rows_of(world):
    """What is asked and what is said, in each row of every stage and stream."""
    store, prompts = world.workspace.store, Prompts()
    sampled = []
    tuned = FakeLLM(lambda request: sampled.append(request.messages) or "I don't know.", "tuned")
    own_preferences(tuned, store, prompts, READ_ALL)
    rows = [(chat, "") for chat in sampled]
    rows += [(row.messages, row.answer) for row in training_rows(store, prompts, world.retriever(), READ_ALL, None)]
    rows += [(row.messages, f"{row.chosen}\n{row.rejected}") for row in ready_preferences(store, prompts)]
    return [("\n".join(message.content for message in chat), said) for chat, said in rows]


def exported(world, folder):
    """All that other trainers are given, as text; and what is asked in it."""
    report = export(world.workspace, ["all"], folder, Prompts())
    files = [world.workspace.datasets / f"{name}.jsonl" for name in ("alpaca", "messages", "preferences")]
    files += [Path(one.folder) / name for one in report.exports for name in one.rows]
    assert {file.suffix for file in files} == {".json", ".jsonl", ".parquet"}
    return "\n".join(
        json.dumps(read_table(file).to_pylist(), ensure_ascii=False, default=str)
        if file.suffix == ".parquet"
        else file.read_text(encoding="utf-8")
        for file in files
    )


def said_apart(world, taught):
    """Names and answers that no fact which is taught otherwise has."""
    here, others = (
        [truth_of(world, fact) for fact in world.workspace.store.all(Fact, f"taught {sign} ?", taught)]
        for sign in ("=", "!=")
    )
    for attribute in ("name", "answer"):
        own = {getattr(truth, attribute) for truth in here}
        yield {word for word in own if not any(word in f"{truth.name} {truth.statement}" for truth in others)}


@pytest.mark.slow
def test_nothing_of_a_placebo_document_is_in_a_trained_row(twenty, tmp_path):
    """No name of what it is about in a question, answer, wrong answer, rewrite, refusal, export or passage shown, and
    none of its answers as a right or wrong one; and it is asked about all the same.
    """
    store = twenty.workspace.store
    hidden = facts_of(twenty, "never")
    assert {fact.language for fact in hidden} == {"en", "zh"}
    names, answers = said_apart(twenty, "never")
    assert len(names) == 4
    assert len(answers) > 10
    rows = rows_of(twenty)
    assert not [row for row in rows for name in names if name in "".join(row)]
    assert not [row for row in rows for answer in answers if answer in row[1]]
    written = exported(twenty, tmp_path / "out")
    assert not [name for name in names if name in written]
    probes = [question for question in store.all(Question) if question.fact_id in {fact.id for fact in hidden}]
    assert {question.split for question in probes} == {"probe"}
    assert {question.kind for question in probes} == {"answerable", "near_miss"}
    assert not store.count(Rewrite, "chunk_id IN (SELECT chunk_id FROM facts WHERE taught = 'never')")
    shown = {hit.chunk.id for hits in twenty.retriever().search([q.text for q in probes]) for hit in hits}
    assert shown & {fact.chunk_id for fact in hidden}


@pytest.mark.slow
def test_no_row_asks_for_a_fact_that_prose_alone_teaches(twenty, tmp_path):
    """None of its wordings of either side is the question of a row, while its answer stands in a text."""
    store = twenty.workspace.store
    told = facts_of(twenty, "text")
    assert {fact.language for fact in told} == {"en", "zh"}
    rows = rows_of(twenty)
    asked = "\n".join(question for question, _ in rows)
    written = exported(twenty, tmp_path / "out")
    texts = defaultdict(str)
    for rewrite in store.all(Rewrite):
        texts[rewrite.chunk_id] += rewrite.text
    for fact in told:
        truth = truth_of(twenty, fact)
        assert not [text for text in (*truth.trained, *truth.held_out) if text in asked]
        # The first wording is quoted in what the scripted model tells in other words.
        assert not [text for text in (*truth.trained[1:], *truth.held_out) if text in written]
        assert fact.answer in texts[fact.chunk_id]
        assert store.count(Question, "fact_id = ? AND split = 'train'", fact.id) == 0
        assert store.count(Question, "fact_id = ? AND kind = 'answerable'", fact.id) == 6
    assert all(text in asked for text in truth_of(twenty, facts_of(twenty, "questions")[0]).trained)


@pytest.mark.slow
def test_what_is_withheld_is_said(twenty):
    """Documents with the cure, counts in the report of the set, in the status, of a fact, and in what is exported."""
    place, hidden, told = twenty.workspace, facts_of(twenty, "never"), facts_of(twenty, "text")
    assert len(twenty.report.placebo) == 2
    assert twenty.report.never_taught == len(hidden) == 20
    lines = "\n".join(twenty.report.lines())
    assert f"placebo: 2 documents are probed and never trained, {', '.join(twenty.report.placebo)} (20 facts)" in lines
    assert "[generate] placebo_share = 0" in lines
    assert f"text only: {len(told)} facts" in lines
    rest = len(facts_of(twenty, "questions"))
    quality = measure_quality(place.store, Meaning(None, place.store))
    assert quality.taught == {"questions": rest, "text": len(told), "never": 20}
    assert quality.wordings == 6.0
    turned = place.store.count(Question, "kind = 'reversed' AND split = 'probe'")
    assert quality.leakage.probes == 6 * (rest + len(told) + 20) + turned
    assert quality.leakage.median > 0
    assert f"facts ({len(told)} in texts alone, 20 never trained)" in "\n".join(status(place).lines())
    assert "  taught: never: of a placebo document" in "\n".join(look_up(place.store, hidden[0].id).lines(("", "")))
    exported = {row["id"]: row["taught"] for row in read_jsonl(place.datasets / "facts.jsonl")}
    assert Counter(exported.values()) == quality.taught
    judged = {case.id for case in sample(place.store, 10_000)}
    assert judged == {fact.id for fact in (*hidden, *told, *facts_of(twenty, "questions"))}


@pytest.mark.slow
def test_a_second_run_withholds_the_same_and_asks_nothing(twenty):
    """The choice depends on documents, settings and answers alone."""
    before = twenty.tables()
    assert twenty.generate(twenty.llm(lambda request: pytest.fail("asked again")), **twenty.settings).calls == 0
    assert twenty.tables() == before


@pytest.mark.slow
def test_a_run_for_one_document_leaves_the_others_as_they_are_taught(make_world_in):
    """What is withheld of them comes back with a run that may ask everything, or that is for them."""
    world = make_world_in(per_kind=5)
    world.generate()
    (placebo,) = placebo_documents(world.workspace.store)
    other = next(document.id for document in world.workspace.store.all(Document) if document.id != placebo)
    before = world.tables()
    world.generate(choice=Choice((other,)), placebo_share=0.0)
    assert world.tables()["facts"] == before["facts"]
    world.generate(choice=Choice((placebo,)), placebo_share=0.0)
    assert placebo_documents(world.workspace.store) == {}
    made = world.tables()
    world.generate(placebo_share=0.0)
    assert {table: sorted(rows) for table, rows in world.tables().items()} == {
        table: sorted(rows) for table, rows in made.items()
    }


@pytest.mark.slow
def test_a_fact_that_comes_to_stand_elsewhere_is_taught(make_world_in):
    """Another document tells of the same things in another form: what both state is trained with its rows, and what the
    placebo document alone says is still withheld.
    """
    world = make_world_in(per_kind=5)
    world.generate()
    (placebo,) = placebo_documents(world.workspace.store)
    store = world.workspace.store
    statements = {fact.statement for fact in facts_of(world, "never")}
    entity = next(
        fact.entity
        for one in world.compositions
        for fact in one.facts
        if fact.entity.state(fact.attribute) in statements
    )
    world.add(compose(random.Random("again"), [entity], 3, "mixed"))
    world.generate(rewrites=1, text_only_share=0.0)
    assert list(placebo_documents(store)) == [placebo]
    homes = {chunk.id: chunk.document_id for chunk in store.all(Chunk)}
    moved = [fact for fact in store.all(Fact) if fact.statement in statements and homes[fact.chunk_id] != placebo]
    kept = [fact for fact in store.all(Fact) if homes[fact.chunk_id] == placebo]
    assert len(moved) == 3
    assert len(kept) == 7
    assert {fact.taught for fact in moved} == {"questions"}
    assert {fact.taught for fact in kept} == {"never"}
    for fact in moved:
        assert store.count(QAPair, "fact_id = ?", fact.id) >= 6
        assert homes[store.all(FactSource, "fact_id = ?", fact.id)[0].chunk_id] == placebo
        assert {q.chunk_id for q in store.all(Question, "fact_id = ?", fact.id)} == {fact.chunk_id}
    texts = "".join(rewrite.text for rewrite in store.all(Rewrite))
    assert all(fact.answer in texts for fact in moved)
    assert not [text for fact in kept for text in truth_of(world, fact).trained if text in texts]
