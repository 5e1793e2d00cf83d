"""Several adapters on one set of weights, switched from request to request."""

import pytest

from kb.llm import Request, user
from kb.llm.local import LocalLLM
from kb.llm.weights import load_weights

pytestmark = pytest.mark.slow

REQUESTS = [Request(user(f"question {n}" + "，中一丁" * n), max_tokens=16) for n in range(4)]


@pytest.fixture(scope="module")
def folders(tiny_folder, make_adapter, tmp_path_factory):
    """Two adapters with dropout, which would make answers random if they were left in training mode."""
    runs = tmp_path_factory.mktemp("runs")
    return {
        name: make_adapter(runs / name / "adapter", tiny_folder, seed, lora_dropout=0.5)
        for name, seed in (("A", 1), ("B", 2))
    }


def texts(llm, requests):
    found = dict(llm.generate(requests))
    return [found[number].text for number in range(len(requests))]


@pytest.mark.parametrize("four_bit", [False, True])
def test_interleaved_requests_give_what_each_model_gives_alone(tiny_folder, folders, four_bit):
    """Base, A and B, each loaded alone, against all three on the same weights, one request each in turn."""

    def loaded():
        return LocalLLM(load_weights(tiny_folder, four_bit, 4096, None))

    alone = {name: texts(loaded().with_adapter(folder), REQUESTS) for name, folder in folders.items()}
    alone["base"] = texts(loaded(), REQUESTS)
    assert len({tuple(told) for told in alone.values()}) == 3
    base = loaded()
    models = {"base": base, **{name: base.with_adapter(folder) for name, folder in folders.items()}}
    for number, request in enumerate(REQUESTS):
        for name in ("A", "base", "B", "base", "A"):
            assert texts(models[name], [request]) == [alone[name][number]], (name, number)
    assert {name: texts(model, REQUESTS) for name, model in models.items()} == alone


def test_batches_of_several_models_may_be_under_way_at_once(tiny_folder, folders):
    """Each batch is computed by its own model, although the other one was asked in between."""
    base = LocalLLM(load_weights(tiny_folder, False, 64, None))
    models = [base, *(base.with_adapter(folder) for folder in folders.values())]
    expected = [texts(model, REQUESTS) for model in models]
    running = [model.generate(REQUESTS) for model in models]
    found = [{} for _ in models]
    for _ in REQUESTS:
        for told, answers in zip(found, running, strict=True):
            told.update([next(answers)])
    assert [[told[n].text for n in range(len(REQUESTS))] for told in found] == expected


@pytest.mark.parametrize("four_bit", [False, True])
def test_loading_an_adapter_changes_no_answer_and_none_is_left_in_training_mode(tiny_folder, folders, four_bit):
    """The base and A compute after another one came what they computed before, up to rounding in fp32; bitsandbytes
    packs 4-bit weights at the first answer on some CPUs, and would round them to bf16 whenever they are unpacked.
    """
    base = LocalLLM(load_weights(tiny_folder, four_bit, 4096, None))

    def told(llm):
        return [score for score, _ in llm.logprobs(REQUESTS, ["一丁"] * len(REQUESTS))]

    alone = told(base)
    first = base.with_adapter(folders["A"])
    before = told(first)
    assert told(base) == pytest.approx(alone, abs=1e-4)
    base.with_adapter(folders["B"])
    fresh = LocalLLM(load_weights(tiny_folder, four_bit, 4096, None)).with_adapter(folders["A"])
    assert told(base) + told(first) + told(fresh) == pytest.approx(alone + before + before, abs=1e-4)
    assert not any(module.training for module in base.weights.model.modules())
