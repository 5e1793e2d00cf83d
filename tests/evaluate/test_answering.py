"""In which order everything is asked, and what is said while more is to come."""

import logging

import pytest

from kb.evaluate.answering import MAIN, answers, so_far
from kb.evaluate.arms import ARMS, Asked, Asker
from kb.evaluate.probes import document_probes
from kb.llm import Item, Request, user
from kb.llm.fake import FakeLLM
from kb.prompt import Prompts
from kb.records import Probe, Score

pytestmark = pytest.mark.slow

ARMS_ASKED = [ARMS[name] for name in ("base", "rag", "tuned", "tuned_rag")]


class Asking:
    """Four arms that are asked everything, and how much had been asked of each model when the retriever was opened."""

    def __init__(self, handmade):
        self.place, self.store = handmade, handmade.workspace.store
        scripts = {"base": handmade.script(), "tuned": handmade.script(["210元"])}
        self.models = {name: FakeLLM(script, name) for name, script in scripts.items()}
        self.probes = document_probes(self.store, 5, 0)
        self.opened = []

    def __call__(self):
        """Ask everything."""
        asker = Asker(Prompts(), self.retriever, self.store)
        return answers(self.store, asker, ARMS_ASKED, self.models, self.probes)

    def retriever(self):
        """Open it, and keep how far things were."""
        self.opened.append([len(model.history) for model in self.models.values()])
        return self.place.retriever()


@pytest.fixture
def asking(handmade):
    """The four arms, with nothing asked yet."""
    return Asking(handmade)


def test_every_arm_is_asked_the_held_out_questions_before_anything_else(asking):
    """Closed-book arms before the retriever is opened, once; the answers come back by arm and probe as ever."""
    asking.probes.sort(key=lambda probe: probe.id)
    answered, _ = asking()
    kinds = {probe.question: probe.kind for probe in asking.probes}
    for model in asking.models.values():
        asked = [
            kinds[request.messages[-1].content.rpartition("\n")[2].removeprefix("Question: ").removeprefix("问题：")]
            for request in model.history
        ]
        assert asked == sorted(asked, key=lambda kind: kind != MAIN)
        assert set(asked) == {MAIN, "trained", "near_miss", "unanswerable"}
    held_out = sum(probe.kind == MAIN for probe in asking.probes)
    assert asking.opened == [[held_out, held_out]]
    places = {(arm.name, probe.id): at for at, arm in enumerate(ARMS_ASKED) for probe in asking.probes}
    found = [(score.arm, score.probe_id) for _, score in answered]
    assert found == [place for place in places if place in set(found)]
    assert len(found) == sum(len(model.history) for model in asking.models.values())


def test_how_an_arm_did_is_said_once_unless_all_was_known(asking, caplog):
    """A line for each arm, in the order of asking; none in the same evaluation again, whose report is next."""
    caplog.set_level(logging.INFO)
    asking()
    said = [record.message for record in caplog.records if "so far" in record.message]
    assert [line.split(":")[1].strip() for line in said] == ["base", "tuned", "rag", "tuned_rag"]
    assert said[:2] == [
        "eval: base: 0 of 12 held-out questions right so far, every wording of 0 of 4 facts",
        "eval: tuned: 3 of 12 held-out questions right so far, every wording of 1 of 4 facts",
    ]
    caplog.clear()
    asking()
    assert "so far" not in caplog.text


def test_an_arm_whose_answers_were_in_the_store_is_said_beside_the_others(asking, caplog):
    """As the base is after another training: without its line, those of the new adapter say little."""
    caplog.set_level(logging.INFO)
    answers(
        asking.store, Asker(Prompts(), asking.retriever, asking.store), ARMS_ASKED[:1], asking.models, asking.probes
    )
    caplog.clear()
    asking()
    said = [record.message.split(":")[1].strip() for record in caplog.records if "so far" in record.message]
    assert said == ["base", "tuned", "rag", "tuned_rag"]


def test_a_fact_counts_where_every_wording_is_right():
    """In both languages; two of three questions right, one of two facts in every wording."""
    verdicts = {"f1": ("correct", "abstained"), "f2": ("correct",)}
    answered = [
        (
            Asked(Probe(f"{fact}{at}", fact, MAIN, "谁？", "林", "name", "zh"), Item("", Request(user("谁？"), 9)), ()),
            Score(f"{fact}{at}", "tuned", "", verdict, "r"),
        )
        for fact, ones in verdicts.items()
        for at, verdict in enumerate(ones)
    ]
    assert so_far(ARMS["tuned"], answered).endswith(
        "2 of 3 held-out questions right so far, every wording of 1 of 2 facts"
    )
