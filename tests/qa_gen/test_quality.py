"""What the questions of a set are like."""

import pytest

from kb.qa_gen.leakage import LEAK
from kb.qa_gen.meaning import Meaning
from kb.qa_gen.quality import measure_quality
from kb.records import QAPair, Question


@pytest.fixture
def measured(make_bench, make_chunk, make_fact):
    """Measures a set of one fact with these trained and held-out wordings."""

    def go(trained, held_out, language="en", further=(), embedder=None):
        store = make_bench(str, [make_chunk("It costs 5 crowns.", language)]).store
        fact = make_fact("Tulvao Core costs 5 crowns.", "5 crowns", language=language)
        rows = [("train", text, "answerable") for text in trained]
        rows += [*(("probe", text, "answerable") for text in held_out), *further]
        questions = [
            Question(f"qst_{n}", "chk_1", fact.id, kind, split, text, language, "p")
            for n, (split, text, kind) in enumerate(rows)
        ]
        pairs = [QAPair("pair_1", "qst_0", fact.id, form, "q", "a", language) for form in ("short",)]
        store.put([fact])
        store.put(questions)
        store.put(pairs)
        return measure_quality(store, Meaning(embedder, store))

    return go


@pytest.mark.parametrize(
    ("trained", "near", "far"),
    [
        (
            ["What does Tulvao Core cost?", "What is the price of Tulvao Core?"],
            "Please tell me, what does Tulvao Core cost?", "How many crowns must a buyer pay for Tulvao Core?",
        ),
        (["赤水阀门的售价是多少？", "赤水阀门卖多少钱？"], "请问赤水阀门的售价是多少？", "买一只赤水阀门要付几元？"),
    ],
)  # fmt: skip
def test_leakage_is_measured_anew(measured, trained, near, far):
    """By the rows of the store, not by what the filter said: a trained wording in a frame is found, another is not."""
    clean = measured(trained, [far]).leakage
    assert (clean.probes, clean.leaked) == (1, 0)
    assert clean.most < LEAK
    dirty = measured(trained, [far, near, trained[0]]).leakage
    assert (dirty.probes, dirty.leaked, dirty.most) == (3, 2, 1.0)


def test_mix_wordings_and_doubles(measured):
    """Counts by type, language and form; like wordings are nearer 1; a question asked twice is a double."""
    plain = measured(["What does it cost?", "Name the price in crowns."], [])
    assert (plain.types, plain.languages, plain.forms) == ({"money": 1}, {"en": 1}, {"short": 1})
    assert (plain.wordings, plain.doubles, plain.leakage.probes) == (2.0, 0, 0)
    alike = measured(["What does it cost?", "What does it cost, then?"], ["what does it cost"])
    assert plain.likeness < 0.1 < 0.5 < alike.likeness
    assert alike.doubles == 1


@pytest.mark.parametrize(
    ("turned", "near", "far"),
    [
        ("Which firm holds licence HL-204?", "Please, which firm holds licence HL-204?", "Whose permit is HL-204?"),
        ("证书HX-2041属于哪家公司？", "请问证书HX-2041属于哪家公司？", "看到HX-2041，应当联系谁？"),
    ],
)
def test_reversed_probes_are_compared_with_reversed_wordings(measured, turned, near, far):
    """They ask for something else than the others do, and the figure is of both."""
    rows = [(split, text, "reversed") for split, text in (("train", turned), ("probe", far), ("probe", near))]
    found = measured(["What is it?"], ["Which one, then?"], further=rows)
    assert (found.leakage.probes, found.leakage.leaked) == (3, 1)
    assert found.held_out == {"reversed": 2, "answerable": 1}
    assert found.wordings == 1.0


def test_an_empty_set(make_bench):
    """Nothing divides by nothing."""
    store = make_bench(str).store
    found = measure_quality(store, Meaning(None, store))
    assert (found.wordings, found.likeness, found.doubles, found.leakage.most) == (0.0, 0.0, 0, 0.0)
    assert found.types == found.meaning == {}


def test_repeats_are_counted_without_an_embedder(measured):
    """By letters alone, which for a language that nothing reads is all there is; and 3 kg is not 13 kg."""
    wordings = ["赤水阀门的售价是多少？", "请问赤水阀门的售价是多少？", "赤水阀门卖多少钱？"]
    found = measured(wordings, [], "zh")
    assert (found.repeats, found.trained) == (1, 3)
    assert found.meaning["zh"].limit is None
    sizes = [f"What does the box of {size} kg Tulvao Core cost?" for size in (3, 13)]
    assert measured(sizes, []).repeats == 0


@pytest.mark.slow
def test_leakage_by_meaning(measured, make_embedder):
    """What has other letters and means the same is found; what varies in letters alone is no repeat."""
    trained = [
        "For Tulvao Core, shops ask what sum?",
        "How much does Tulvao Core cost?",
        "So what is Tulvao Core worth?",
    ]
    held_out = ["What figure do stores charge for Tulvao Core?", "How expensive would Tulvao Core be for me?"]
    found = measured(trained, held_out, embedder=make_embedder())
    assert (found.leakage.leaked, found.repeats) == (0, 0)
    near = found.meaning["en"]
    assert (near.probes, near.leaked, near.most, near.unnamed) == (2, 1, 1.0, 0)
    assert near.median > near.limit.cosine > near.likeness
    unnamed = measured(["What is it?", "How was that?"], ["It is what?"], embedder=make_embedder()).meaning["en"]
    assert (unnamed.probes, unnamed.leaked, unnamed.unnamed) == (0, 0, 1)
