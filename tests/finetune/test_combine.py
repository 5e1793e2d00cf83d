"""Adding adapters up: exact where it is offered, refused where the library would be wrong."""

import json

import pytest

from kb.errors import KBError, UsageError
from kb.finetune.combine import not_a_sum, run
from kb.llm.base import ModelConfig
from kb.llm.identity import combine, folder_identity
from kb.runs import Lineage, Part, all_runs, find_run, register

PLAIN = {"peft_type": "LORA", "bias": "none", "use_rslora": False, "use_dora": False, "init_lora_weights": True}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"use_rslora": True}, "rsLoRA"),
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "biases"),
        ({"lora_bias": True}, "biases"),
        ({"modules_to_save": ["lm_head"]}, "whole layers"),
        ({"ensure_weight_tying": True}, "tied layers"),
        ({"init_lora_weights": "pissa_niter_4"}, "an adapter of pissa_niter_4"),
        ({"peft_type": "PREFIX_TUNING"}, "a PREFIX_TUNING adapter"),
    ],
)
def test_what_is_more_than_a_sum_is_named(tmp_path, changes, said):
    """Each kind of adapter that peft would combine wrongly or not at all has its reason; plain LoRA has none."""
    (tmp_path / "adapter_config.json").write_text(json.dumps(PLAIN))
    assert not_a_sum(tmp_path) == ""
    (tmp_path / "adapter_config.json").write_text(json.dumps(PLAIN | changes))
    assert said in not_a_sum(tmp_path)


def test_a_whole_model_is_no_adapter(tmp_path):
    """A fully trained model cannot be added to an adapter."""
    assert not_a_sum(tmp_path) == "no adapter but a whole model"


@pytest.fixture
def trained(workspace, tiny):
    """A function that registers an adapter of the tiny model, or files that pass for one, as a run."""
    base = combine([folder_identity(tiny), "nf4=False"])

    def made(name, make=None, **changes):
        adapter = workspace.run(name) / "sft" / "adapter"
        adapter.mkdir(parents=True)
        (adapter / "adapter_config.json").write_text(json.dumps(PLAIN))
        if make:
            make(adapter)
        lineage = {
            "base": "tiny", "base_identity": base, "adapter": str(adapter), "data": name, "documents": name, "facts": 3,
            "adapter_identity": folder_identity(adapter), "files": {f"/{name}.md": name},
        }  # fmt: skip
        register(workspace.store, name, {}, {"sft": {"rows": 1}}, Lineage(**lineage | changes))

    return made


def test_runs_that_cannot_be_added_are_refused(workspace, tiny, trained):
    """Another base, another tag, another kind, the same run twice, weights that mean nothing, a name that is taken."""
    model = ModelConfig(name=str(tiny), load_in_4bit=False)
    trained("one")
    trained("two")
    trained("foreign", base_identity="other")
    trained("tagged", tag="Book")
    trained("dora", lambda folder: (folder / "adapter_config.json").write_text(json.dumps({**PLAIN, "use_dora": True})))
    for runs, weights, said in (
        (["one", "foreign"], [1, 1], r"different bases: tiny \(.*\) and tiny \(other\)"),
        (["one", "tagged"], [1, 1], "different tags, '' and 'Book'"),
        (["one", "dora"], [1, 1], "run dora cannot be combined: it has DoRA"),
        (["one", "one"], [1, 1], "two or more different runs"),
        (["one"], [1], "two or more different runs"),
        (["one", "two"], [1, 0], "expected 2 weights other than 0"),
        (["one", "two"], [1, float("nan")], "expected 2 weights other than 0"),
        (["one", "two"], [1], "expected 2 weights"),
        (["one", "nix"], [1, 1], "no training run called nix"),
    ):
        with pytest.raises(UsageError, match=said):
            run(workspace, "sum", runs, weights, model)
    for name, said in (("two", "there is a run called two already"), ("../x", "cannot be the name of a folder")):
        with pytest.raises(UsageError, match=said):
            run(workspace, name, ["one", "two"], [1, 1], model)
    (workspace.run("one") / "sft" / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(UsageError, match="has changed since run one ended"):
        run(workspace, "sum", ["one", "two"], [1, 1], model)


@pytest.fixture(scope="module")
def adapter(tiny, makers, tmp_path_factory):
    """A function that saves an adapter of the tiny model."""

    def make(seed, **options):
        return makers.save_adapter(tmp_path_factory.mktemp("adapter"), tiny, seed, **options)

    return make


def logits(model):
    """What the model computes for a few tokens."""
    import torch

    with torch.no_grad():
        return model(torch.arange(3, 20)[None]).logits


def summed(tiny, adapters, weights):
    """The base plus the weighted sum of what each adapter, merged alone, changes in its weights."""
    from peft import PeftModel

    from kb.llm.weights import load_base

    total = load_base(tiny, False)
    plain = {name: value.clone() for name, value in total.state_dict().items()}
    for folder, weight in zip(adapters, weights, strict=True):
        merged = PeftModel.from_pretrained(load_base(tiny, False), str(folder)).merge_and_unload().state_dict()
        for name, value in total.state_dict().items():
            value += weight * (merged[name] - plain[name])
    return total


@pytest.mark.slow
@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.3, -0.8)])
def test_the_combination_is_exactly_the_weighted_sum(tiny, adapter, weights):
    """Ranks and scalings that differ, a weight below 0: logits are those of the summed changes."""
    from kb.finetune.model import combined
    from kb.llm.weights import load_base

    parts = [adapter(1, r=4, lora_alpha=8), adapter(2, r=8, lora_alpha=8)]
    found = logits(combined(load_base(tiny, False), parts, weights))
    assert (found - logits(summed(tiny, parts, weights))).abs().max() < 1e-4
    assert (found - logits(load_base(tiny, False))).abs().max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("option", ["use_rslora", "use_dora"])
def test_what_is_refused_would_be_wrong(tiny, adapter, option):
    """The library combines rsLoRA and DoRA without a word, and the logits are far from those of the sum."""
    from kb.finetune.model import combined
    from kb.llm.weights import load_base

    parts = [adapter(seed, r=16, **{option: True}) for seed in (1, 2)]
    assert all(map(not_a_sum, parts))
    right = logits(summed(tiny, parts, (1.0, 1.0)))
    effect = (right - logits(load_base(tiny, False))).abs().max()
    assert (logits(combined(load_base(tiny, False), parts, (1.0, 1.0))) - right).abs().max() > 0.05 * effect


@pytest.mark.slow
def test_a_combined_run_is_registered_and_answers(workspace, tiny, trained, makers):
    """Lineage of both parts, the run in use stays in use, and the saved adapter is the sum when it is loaded."""
    from kb.finetune.model import combined
    from kb.llm.local import LocalLLM
    from kb.llm.tuned import open_tuned
    from kb.llm.weights import load_base, load_weights

    for number, name in enumerate(("one", "二")):
        trained(name, lambda folder, seed=number: makers.save_adapter(folder, tiny, seed))
    made = run(workspace, "sum", ["one", "二"], [1.0, 0.5], ModelConfig(name=str(tiny), load_in_4bit=False))
    assert made.rank == 8 and "run sum = 1 x one + 0.5 x 二, rank 8" in made.lines()[0]
    assert find_run(workspace.store).name == "二"
    found = find_run(workspace.store, "sum")
    parts = [one for one in all_runs(workspace.store) if one.name != "sum"]
    assert [part.run for part in found.lineage.parts] == ["one", "二"]
    assert found.lineage.parts[1] == Part("二", parts[1].lineage.adapter_identity, 0.5)
    assert (found.lineage.facts, found.lineage.files) == (6, {"/one.md": "one", "/二.md": "二"})
    tuned = open_tuned(LocalLLM(load_weights(tiny, False, 4096, None)), found, workspace.store)
    with tuned.active():
        loaded = logits(tuned.weights.model)
    again = combined(load_base(tiny, False), [part.adapter for part in parts], [1.0, 0.5])
    assert (loaded - logits(again)).abs().max() == 0


@pytest.mark.slow
def test_a_sum_that_cancels_out_is_an_error(workspace, tiny, trained, makers):
    """The same adapter once for and once against: nothing is registered."""
    for name in ("one", "two"):
        trained(name, lambda folder: makers.save_adapter(folder, tiny, 1))
    with pytest.raises(KBError, match="changes nothing: their effects cancel out"):
        run(workspace, "sum", ["one", "two"], [1.0, -1.0], ModelConfig(name=str(tiny), load_in_4bit=False))
    assert [one.name for one in all_runs(workspace.store)] == ["one", "two"]
