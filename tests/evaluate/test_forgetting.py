"""What tuning did to everything else, by the lab model and a copy of it whose weights were changed."""

import copy
from dataclasses import replace

import pytest

from kb.evaluate import forgetting
from kb.evaluate.arms import Asker
from kb.evaluate.forgetting import WORST, measured
from kb.evaluate.panels import general_rows
from kb.evaluate.probes import document_probes, ring_file, ring_probes
from kb.llm import ModelConfig
from kb.llm.fake import FakeLLM
from kb.llm.general import general_chats
from kb.llm.open import lab_folder, open_model
from kb.prompt import open_pack

pytestmark = pytest.mark.slow


@pytest.fixture
def place(handmade, monkeypatch):
    """The lab model, what it is asked, and few general prompts, which it spells out letter by letter."""
    short = sorted(general_chats("watch"), key=lambda one: len(one.messages[-1].content))[:4]
    monkeypatch.setattr(forgetting, "general_chats", lambda part: short)
    store = handmade.workspace.store
    asker = Asker(open_pack(str(lab_folder() / "prompts")), handmade.retriever, store)
    rings = ring_probes(ring_file("auto", lab_folder()))
    some = [one for kind in ("known", "reading", "never") for one in rings if one.kind == kind][::6]
    return open_model(ModelConfig("lab", load_in_4bit=False)), asker, [*document_probes(store, 5, 0), *some]


def test_a_model_has_not_moved_from_itself_and_a_changed_one_has(place):
    """No KL, every token and every right answer as likely; with other weights less so, and what lost most is named."""
    base, asker, probes = place
    still = measured(base, base, asker, probes, 80)
    assert (still.prompts, still.agreement, still.worst) == (4, 1.0, ())
    assert still.kl == pytest.approx(0, abs=1e-4)
    assert {one.kind: (one.probes, round(one.change.value, 4)) for one in still.shifts} == {
        "known": (16, 0.0), "reading": (20, 0.0), "held_out": (4, 0.0),
    }  # fmt: skip
    moved = copy.copy(base)
    moved.weights = replace(base.weights, model=copy.deepcopy(base.weights.model))
    for parameter in moved.weights.model.parameters():
        parameter.data.mul_(0.8)
    found = measured(base, moved, asker, probes, 80)
    assert found.tokens == still.tokens > 0
    assert found.kl > 0.05
    assert found.agreement < 1
    known = next(one for one in found.shifts if one.kind == "known")
    assert known.change.high < 0
    assert known.change.value == pytest.approx(known.tuned - known.base)
    assert len(found.worst) == WORST
    lost = [one.tuned - one.base for one in found.worst]
    assert lost == sorted(lost)
    assert {one.kind for one in found.worst} <= {"known", "reading"}
    assert any("KL" in label.en for label, _ in general_rows(found))


def test_who_tells_no_log_probabilities_is_not_measured(place):
    """A server, or any model that is not here."""
    base, asker, probes = place
    assert measured(base, FakeLLM(lambda request: "no", "far"), asker, probes, 80) is None
    assert measured(base, base, asker, probes, 0) is None
    assert general_rows(None) == []
