"""Wordings that are the same but for trifles: held-out ones beside trained ones, and those of one side."""

import itertools
import random

import pytest

from kb.qa_gen import doubles
from kb.qa_gen.doubles import LEAKED, REPEATED, Draft, sift
from kb.qa_gen.leakage import LEAK, Trained, Wordings
from kb.records import Question

pytestmark = pytest.mark.slow

EN = (
    "What is the price of Tulvao Core?", "How much does Tulvao Core cost?", "For Tulvao Core, shops ask what sum?",
    "Which amount must a buyer of Tulvao Core pay?",
)  # fmt: skip
ZH = ("启霆塑料公司的创始人是谁？", "谁一手办起了启霆塑料公司？", "追溯起来，启霆塑料公司出自何人之手？")
TURNED = {
    "en": ("What figure do stores charge for Tulvao Core?", EN[2]),
    "zh": ("何人之手出自启霆塑料公司，起来追溯？", ZH[2]),
}
FRESH = {"en": "How expensive would Tulvao Core be for me?", "zh": "启霆塑料公司最早是哪位建起来的？"}


@pytest.fixture
def fact_of(make_fact):
    """A function that makes the fact which EN or ZH ask for."""

    def make(language="en", chunk_id="chk_1", name="Tulvao Core"):
        if language == "en":
            return make_fact(f"{name} costs 349 crowns.", "349 crowns", chunk_id=chunk_id)
        return make_fact("启霆塑料公司由王伟创立。", "王伟", language="zh", chunk_id=chunk_id)

    return make


def trained_of(*pairs):
    """Facts with their trained wordings."""
    questions = {
        fact.id: [Question(f"q{n}", "chk_1", fact.id, "answerable", "train", t, fact.language, "p") for n, t in
                  enumerate(texts)]
        for fact, texts in pairs
    }  # fmt: skip
    return Trained.of([fact for fact, _ in pairs], questions)


def kept(bench, drafts, trained=None, wanted=6):
    """The texts that are kept, by fact."""
    return {one.fact.id: list(one.texts) for one in sift(bench, "probes", drafts, wanted, trained)}


def reasons(bench):
    """What was dropped: reason and detail."""
    return [(reject.reason, reject.detail) for reject in bench.rejects]


@pytest.mark.parametrize(("language", "trained"), [("en", EN), ("zh", ZH)])
def test_a_probe_that_means_a_trained_wording_is_dropped(make_bench, make_embedder, fact_of, language, trained):
    """In other letters, so that only the embedder sees it; the record has the wording and the cosine."""
    fact, (turned, source) = fact_of(language), TURNED[language]
    assert Wordings(trained).closeness(turned) < LEAK
    draft = Draft(fact, (turned, FRESH[language]))
    bench = make_bench(str, embedder=make_embedder())
    assert kept(bench, [draft], trained_of((fact, trained))) == {fact.id: [FRESH[language]]}
    ((reason, detail),) = reasons(bench)
    assert reason == LEAKED
    assert detail.startswith(f"{turned} | {source} | ")
    assert float(detail.rpartition(" | ")[2]) > bench.meaning.limit(language).cosine


def test_without_an_embedder_the_letters_decide_alone(make_bench, make_embedder, fact_of):
    """None, one that does not read the language, and one that cannot tell drop nothing."""
    fact = fact_of("zh")
    draft = Draft(fact, (TURNED["zh"][0], FRESH["zh"], ZH[0], "请问" + ZH[0]))
    for embedder in (None, make_embedder(reads=("en",)), make_embedder(blind=True)):
        bench = make_bench(str, embedder=embedder)
        assert kept(bench, [draft], trained_of((fact, ZH))) == {fact.id: list(draft.texts)}
        assert bench.rejects == []


def test_other_figures_are_another_question(make_bench, make_embedder, fact_of):
    """3 kg and 13 kg are not the same, whatever the embedder says; nor do such wordings repeat each other."""
    fact = fact_of(name="Tulvao Core")
    trained = tuple(f"{text[:-1]} of 3 kg?" for text in EN)
    probes = tuple(TURNED["en"][0].replace("Core?", f"Core of {size} kg?") for size in (13, 3))
    bench = make_bench(str, embedder=make_embedder())
    assert kept(bench, [Draft(fact, probes)], trained_of((fact, trained))) == {fact.id: [probes[0]]}
    both = ("What does the box of 3 kg Tulvao Core cost?", "What does the box of 13 kg Tulvao Core cost?", EN[2])
    assert kept(bench, [Draft(fact, both)]) == {fact.id: list(both)}


def test_a_wording_that_repeats_another_one_is_dropped(make_bench, make_embedder, fact_of):
    """Of those that are the same but for trifles the first stays; others take their place."""
    fact = fact_of()
    texts = (EN[0], f"Please, {EN[0].lower()}", *EN[1:])
    bench = make_bench(str, embedder=make_embedder(), min_wordings=2)
    assert kept(bench, [Draft(fact, texts)], wanted=4) == {fact.id: list(EN)}
    ((reason, detail),) = reasons(bench)
    assert reason == REPEATED
    assert detail.startswith(f"{texts[1]} | {EN[0]} | ")


def test_a_fact_is_not_lost_to_repeats(make_bench, make_embedder, fact_of):
    """With too few others, the first of them stay in their place, and that is noted."""
    fact = fact_of("zh")
    texts = (ZH[0], f"请问{ZH[0]}", ZH[1], f"{ZH[0][:-1]}呢？", ZH[2])
    bench = make_bench(str, embedder=make_embedder(), min_wordings=4)
    assert kept(bench, [Draft(fact, texts)]) == {fact.id: [ZH[0], texts[1], ZH[1], ZH[2]]}
    assert [reason for reason, _ in reasons(bench)] == [REPEATED]
    assert sum(bench.notes.values()) == 1


def test_wordings_about_nothing_in_common_are_not_compared(make_bench, make_embedder, fact_of):
    """Where no name can be left out, long ones would make all questions alike."""
    fact = fact_of()
    bench = make_bench(str, embedder=make_embedder())
    trained = trained_of((fact, ("Where is the one?", "How is the other?")))
    assert kept(bench, [Draft(fact, ("The one is where?",))], trained) == {fact.id: ["The one is where?"]}


def test_a_twins_wording_leaks_as_well(make_bench, make_embedder, fact_of):
    """Of another fact with the same answer about the same thing; what is about another thing is not compared."""
    fact, twin = fact_of(), fact_of(chunk_id="chk_2")
    trained = trained_of((fact, EN[:2]), (twin, EN[1:]))
    bench = make_bench(str, embedder=make_embedder())
    assert kept(bench, [Draft(fact, (TURNED["en"][0],))], trained) == {fact.id: []}
    other = fact_of(chunk_id="chk_3", name="Brazao")
    renamed = trained_of((fact, EN[:2]), (other, [text.replace("Tulvao Core", "Brazao") for text in EN[1:]]))
    assert kept(bench, [Draft(fact, (TURNED["en"][0],))], renamed) == {fact.id: [TURNED["en"][0]]}


def test_how_facts_are_batched_decides_nothing(make_bench, make_embedder, fact_of, monkeypatch):
    """One at a time or all at once, in whatever order."""
    facts = [fact_of(language, f"chk_{n}") for n, language in zip(range(6), itertools.cycle(("en", "zh")))]
    rng = random.Random(0)
    drafts = [
        Draft(fact, rng.sample([*TURNED[fact.language], FRESH[fact.language], f"{FRESH[fact.language]}!!"], 4))
        for fact in facts
    ]
    trained = trained_of(*((fact, EN if fact.language == "en" else ZH) for fact in facts))
    made = []
    for size, order in ((256, 1), (1, -1), (2, 1)):
        monkeypatch.setattr(doubles, "SLICE", size)
        bench = make_bench(str, embedder=make_embedder(), min_wordings=1)
        made.append((kept(bench, drafts[::order], trained), sorted(reasons(bench))))
    assert made[0] == made[1] == made[2]


def test_vectors_are_remembered(make_bench, make_embedder, fact_of):
    """The report on a set embeds nothing again that was just compared, as far as that is still in memory."""
    fact, bench = fact_of(), make_bench(str, embedder=make_embedder())
    draft, trained, seen = Draft(fact, EN[2:]), trained_of((fact, EN[:2])), bench.retriever.embedder.model.seen
    kept(bench, [draft], trained)
    before = len(seen)
    kept(bench, [draft], trained)
    assert len(seen) == before


@pytest.mark.parametrize("at", [3, 60])
def test_an_interrupted_run_ends_like_an_undisturbed_one(make_world_in, make_embedder, at):
    """With gates that go by meaning, too."""
    calm, world = make_world_in("calm"), make_world_in("world")
    calm.embedder, world.embedder = make_embedder(), make_embedder()
    report = calm.generate(min_wordings=4)
    assert any(REPEATED in reason for reason in report.rejected)
    count = itertools.count(1)

    def breaks(request):
        if next(count) == at:
            raise KeyboardInterrupt
        return world.oracle(request)

    with pytest.raises(KeyboardInterrupt):
        world.generate(world.llm(breaks), min_wordings=4)
    world.generate(min_wordings=4)
    assert world.tables() == calm.tables()
