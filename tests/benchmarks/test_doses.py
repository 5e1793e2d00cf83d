"""The dose benchmark: what it teaches, and the page it makes of what came out."""

import importlib
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from kb.corpora.documents import StatedFact
from kb.corpora.lab_tasks import handbook_world
from kb.corpora.world import attributes
from kb.evaluate.probes import document_probes, leaked
from kb.llm.open import lab_folder
from kb.records import Chunk, Document, Fact, QAPair, Question, Rewrite
from kb.store import Store

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")
LANGUAGES = ("en", "zh")


@pytest.fixture(scope="module")
def bench():
    """The benchmark's modules, which are scripts and import each other by their bare names."""
    sys.path.insert(0, BENCHMARKS)
    names = ("tellings", "doses_page", "doses", "retention")
    yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    sys.path.remove(BENCHMARKS)
    for name in names:
        del sys.modules[name]


def stated(language, entity=0, count=5):
    """Facts of an entity of the handbook: a regulation among the first four, whose name takes an article."""
    about = handbook_world(language)[entity]
    return [StatedFact(about, one, "") for one in attributes(language, about.kind)[:count]]


@pytest.mark.parametrize("language", LANGUAGES)
def test_ten_wordings_differ_and_none_is_held_out(bench, language):
    """A fact has ten different training wordings that name the entity; a smaller dose has the first of them."""
    for entity in range(4):
        for told in stated(language, entity):
            asked = bench.tellings.wordings(told, 10, seed=1)
            assert len(set(asked)) == 10
            assert all(told.entity.name in text for text in asked)
            assert not set(asked) & {told.entity.ask(told.attribute, "b", number) for number in range(6)}
            assert bench.tellings.wordings(told, 2, seed=1) == asked[:2]


def test_wordings_are_drawn_by_the_seed(bench):
    """Equal seeds draw equal wordings, others another first one, and all of family A comes before the frames."""
    told = stated("en")[0]
    assert bench.tellings.wordings(told, 10, 0) == bench.tellings.wordings(told, 10, 0)
    assert len({bench.tellings.wordings(told, 1, seed)[0] for seed in range(20)}) > 1
    world = {told.entity.ask(told.attribute, "a", number) for number in range(6)}
    assert set(bench.tellings.wordings(told, 6, 3)) == world


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_state_every_fact_in_new_words(bench, language):
    """Ten texts differ, state all values and ask nothing; in the first five no sentence comes twice."""
    facts = stated(language)
    made = bench.tellings.texts(facts, 10, seed=0)
    assert len(set(made)) == 10
    assert all(fact.value in text for fact in facts for text in made)
    assert not any(mark in text for mark in "?？" for text in made)
    for fact in facts:
        sentences = [fact.entity.state(fact.attribute, number) for number in range(5)]
        told = [next(place for place, one in enumerate(sentences) if one in text) for text in made[:5]]
        assert sorted(told) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("language", LANGUAGES)
def test_near_misses_of_training_and_probes_are_others(bench, language):
    """A near miss has another name than the entity, and another in probes than in training."""
    told = stated(language)[0]
    trained = bench.tellings.near_miss(told, "train", ()).entity.name
    asked = bench.tellings.near_miss(told, "probe", [trained]).entity.name
    assert len({told.entity.name, trained, asked}) == 3


def test_tellings_of_a_cell_add_up_to_its_dose(bench):
    """Questions and texts together are the dose in every cell, half and half in the mix; no two share a file."""
    cells = bench.doses.grid([1, 2, 5, 10])
    assert len({cell.name for cell in cells}) == len(cells) == 13
    assert all(cell.wordings + cell.texts == cell.dose for cell in cells)
    assert [(c.wordings, c.texts) for c in cells if c.mix == "1:1" and not c.negatives] == [(1, 1), (3, 2), (5, 5)]
    assert {(c.mix, c.dose) for c in cells if c.negatives} == {("QA", 5), ("1:1", 5)}


@pytest.fixture
def taught(bench, tmp_path):
    """A store with two chunks, one in each language, and their ten facts, not written yet."""
    store = Store(tmp_path / "kb.db")
    store.put([Document("doc_1", "/docs/a.md", "00", "md", "Page", "en", "", (), "doc_1")])
    facts = []
    for language in LANGUAGES:
        store.put([Chunk(f"chk_{language}", "doc_1", 0, "text", "Page", language, 0, 4)])
        for told in stated(language):
            id = f"fct_{language}_{told.attribute.name}"
            type_ = told.attribute.answer_type
            fact = Fact(id, f"chk_{language}", "s", told.value, type_, "text", 0, 4, language)
            facts.append(bench.tellings.Taught(fact, told))
    yield store, facts
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("dose", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("mix", ["QA", "prose", "1:1"])
def test_every_dose_has_as_many_rows(bench, taught, mix, dose):
    """Rows do not depend on the dose, the different tellings among them are its number, and no probe is trained."""
    store, facts = taught
    cell = bench.tellings.Cell(mix, dose)
    bench.tellings.write_set(store, facts, cell, seed=0)
    pairs, rewrites = store.all(QAPair), store.all(Rewrite)
    asks, tells = cell.wordings > 0, cell.texts > 0
    assert len(pairs) == 10 * len(facts) * asks
    assert len(rewrites) == 2 * bench.tellings.CHUNK_SLOTS.get(mix, 0) * tells
    assert len({pair.question for pair in pairs}) == cell.wordings * len(facts)
    assert len({text.text for text in rewrites}) == cell.texts * 2
    probes = document_probes(store, 3, 0)
    assert [probe.kind for probe in probes].count("held_out") == 3 * len(facts)
    assert not leaked(store, probes)


@pytest.mark.slow
def test_negatives_are_refusals_for_half_of_the_facts(bench, taught):
    """Half of the facts bring one declined near miss, as often as one of five wordings, of a name no probe asks for."""
    store, facts = taught
    bench.tellings.write_set(store, facts, bench.tellings.Cell("QA", 5, True), seed=0)
    refused = [pair for pair in store.all(QAPair) if pair.form == "refusal"]
    assert len(refused) == 5 * 2
    assert {pair.answer for pair in refused} == {"unknown", "不知道"}
    asked = {question.text for question in store.all(Question, "split = 'probe' AND kind = 'near_miss'")}
    assert len(asked) == len(facts)
    assert not asked & {pair.question for pair in refused}


@pytest.mark.slow
def test_the_lab_model_can_read_every_wording(bench):
    """No training wording and no text of either language has a token that the lab model does not know."""
    from kb.llm.weights import load_tokenizer

    tokenizer = load_tokenizer(lab_folder())
    for language in LANGUAGES:
        for entity in range(4):
            facts = stated(language, entity)
            asked = [text for told in facts for text in bench.tellings.wordings(told, 10, 0)]
            for text in [*asked, *bench.tellings.texts(facts, 10, 0)]:
                assert tokenizer.unk_token_id not in tokenizer.encode(text), text


LEVELS = {"QA": 0.9, "prose": 0.0, "1:1": 0.7}


def outcome(bench, cell, seed):
    """A made-up outcome of forty facts; prose has no trained wording."""
    rng = random.Random(f"{cell} {seed}")
    kinds = ["held_out", "near_miss", "known", "never", *(["trained"] if cell.wordings else [])]
    shares = {
        kind: {f"f{fact}": float(rng.random() < LEVELS[cell.mix]) for fact in range(40)} for kind in kinds
    }  # fmt: skip
    setting = {"steps": 150, "batch": 24}
    kept = {"cell": vars(cell), "seed": seed, "facts": 40, "setting": setting, "cpu_seconds": 60, "shares": shares}
    return bench.doses_page.Outcome.of(kept)


@pytest.mark.slow
def test_page_shows_every_cell_and_what_is_missing(bench):
    """A line a cell with its seeds, a dash where nothing was asked, and paired differences with p."""
    cells = bench.doses.grid([1, 5])
    outcomes = [outcome(bench, cell, seed) for cell in cells for seed in (0, 1) if (cell.mix, seed) != ("prose", 1)]
    lines = bench.doses_page.page(outcomes, "doses.svg").splitlines()
    assert "![Retention by dose and mix](doses.svg)" in lines
    prose = next(line for line in lines if line.startswith("| prose only | 5 |"))
    assert prose.startswith("| prose only | 5 | 1 | .000 [.000, ")
    assert "| – |" in prose
    assert next(line for line in lines if line.startswith("| QA only | 5 |")).startswith("| QA only | 5 | 2 | .")
    gain = next(line for line in lines if line.startswith("| QA only: 5 - 1 |"))
    assert gain.count("|") == 4
    assert sum(line.startswith("| 1:1 | 5 | near misses declined |") for line in lines) == 1


def test_all_right_wants_every_wording(bench):
    """A fact counts as all right only where no held-out wording of it is wrong."""
    shares = {"held_out": {"a": 1.0, "b": 2 / 3}}
    kept = {
        "cell": {"mix": "QA", "dose": 1}, "seed": 0, "facts": 2, "setting": {"steps": 1, "batch": 1},
        "cpu_seconds": 1, "shares": shares,
    }  # fmt: skip
    found = bench.doses_page.Outcome.of(kept)
    assert found.mean("all_right") == 0.5
    assert found.mean("held_out") == pytest.approx(5 / 6)


def test_a_kept_result_counts_under_its_own_settings_alone(bench, tmp_path):
    """A run is done where its result was made with these settings, and missing with others or when there is none."""
    cell, setting = bench.tellings.Cell("QA", 5), bench.doses.Setting(150)
    assert bench.doses.done(tmp_path, setting, cell, 0) is None
    kept = {
        "setting": vars(setting), "cell": vars(cell), "seed": 0, "facts": 1, "cpu_seconds": 1,
        "shares": {"held_out": {"a": 1.0}},
    }  # fmt: skip
    bench.doses.write_json(bench.doses.result_file(tmp_path, cell, 0), kept)
    assert bench.doses.done(tmp_path, setting, cell, 0).mean("held_out") == 1
    assert bench.doses.done(tmp_path, bench.doses.Setting(300), cell, 0) is None
