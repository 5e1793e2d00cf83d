"""What prompts begin with is computed once, and changes no answer."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from transformers import GenerationConfig, MptConfig, MptForCausalLM, Qwen3ForCausalLM

from kb.llm import Request, user
from kb.llm.local import LocalLLM
from kb.llm.prefixes import BLOCK
from kb.llm.weights import load_tokenizer, load_weights

pytestmark = pytest.mark.slow

PASSAGES = [letter * (6 * BLOCK + size) for letter, size in (("m", 9), ("一", 50), ("x", 0))]
WORDINGS = ["who?", "since when, and where?", "谁？", "many words 多少个字 of them"]
ASKED = [Request(user(f"{passage} {wording}"), max_tokens=8) for passage in PASSAGES for wording in WORDINGS]


@pytest.fixture
def widths(monkeypatch):
    """Rows and tokens of every forward pass of a model, as they come, of a function that gets the model."""
    found = []

    def watch(llm):
        model = llm.weights.model
        forward = model.forward

        def noting(*given, **options):
            found.append(tuple(options["input_ids"].shape))
            return forward(*given, **options)

        monkeypatch.setattr(model, "forward", noting)
        return found

    return watch


def same(first, second):
    """Texts, ends and counts are equal, and log-probabilities but for rounding."""
    assert {at: replace(done, logprob=None) for at, done in first.items()} == {
        at: replace(done, logprob=None) for at, done in second.items()
    }
    for at, done in first.items():
        assert done.logprob == pytest.approx(second[at].logprob, abs=1e-4)


def alone(llm, requests):
    """Every request answered by itself."""
    return {at: dict(llm.generate([request]))[0] for at, request in enumerate(requests)}


def test_answers_are_those_that_each_prompt_gets_alone(llm):
    """Beginnings and rests of several lengths in one batch."""
    together = dict(llm.generate(ASKED))
    assert len({done.text for done in together.values()}) > 6
    same(together, alone(llm, ASKED))


def test_samples_are_those_that_each_prompt_gets_alone(llm):
    """What is drawn is decided by the seed of the request, whatever stands beside it."""
    sampled = [replace(request, temperature=1.0, seed=at) for at, request in enumerate(ASKED)]
    together, apart = dict(llm.generate(sampled)), alone(llm, sampled)
    assert {at: done.text for at, done in together.items()} == {at: done.text for at, done in apart.items()}


def test_beginnings_are_computed_once(llm, widths):
    """One pass over the three of them, a row each, then only the rests of the twelve prompts."""
    seen = widths(llm)
    list(llm.generate(ASKED))
    lengths = [len(llm.prompt_ids(request)) for request in ASKED]
    assert seen[0][0] == len(PASSAGES)
    assert seen[1][0] == len(ASKED)
    assert seen[0][1] + seen[1][1] < max(lengths) + 2 * BLOCK
    assert seen[1][1] < max(lengths) / 2


def test_an_adapter_reads_its_own_beginnings(llm, tiny_folder, tmp_path, make_adapter):
    """With an adapter on, and with it off again, answers are those of each prompt alone, and differ."""
    tuned = llm.with_adapter(make_adapter(tmp_path / "run" / "adapter", tiny_folder, 1, 0.5))
    base = LocalLLM(tuned.weights)
    found = {one: dict(one.generate(ASKED)) for one in (tuned, base)}
    assert [done.text for done in found[tuned].values()] != [done.text for done in found[base].values()]
    for one, answers in found.items():
        same(answers, alone(one, ASKED))


def test_a_model_with_windows_shares_nothing(tiny_folder, tmp_path, widths):
    """A layer that keeps the last tokens only is given every prompt whole."""
    folder = tmp_path / "windows"
    shutil.copytree(tiny_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"use_sliding_window": True, "sliding_window": 64, "layer_types": ["full_attention", "sliding_attention"]}
    (folder / "config.json").write_text(json.dumps(config))
    llm = LocalLLM(load_weights(folder, False, 4096, None))
    seen = widths(llm)
    together = dict(llm.generate(ASKED))
    assert seen[0] == (len(ASKED), max(len(llm.prompt_ids(request)) for request in ASKED))
    same(together, alone(llm, ASKED))


def test_a_model_that_counts_places_by_itself_shares_nothing(tiny_folder, tmp_path, widths):
    """MPT measures distances over padding too, so there must be none within a row."""
    folder = tmp_path / "mpt"
    shutil.copytree(tiny_folder, folder)
    tokens = load_tokenizer(folder)
    torch.manual_seed(0)
    model = MptForCausalLM(MptConfig(d_model=64, n_heads=2, n_layers=2, vocab_size=len(tokens), initializer_range=0.2))
    model.generation_config = GenerationConfig(pad_token_id=0, eos_token_id=2)
    model.save_pretrained(folder)
    llm = LocalLLM(load_weights(folder, False, 4096, None))
    seen = widths(llm)
    together = dict(llm.generate(ASKED))
    assert seen[0][0] == len(ASKED)
    same(together, alone(llm, ASKED))


@pytest.mark.parametrize("kind", ["PromptTuningConfig", "PrefixTuningConfig"])
def test_a_tuned_prompt_shares_nothing_and_leaves_the_base_alone(llm, tiny_folder, tmp_path, kind):
    """What is trained stands before each prompt; with it off, answers are those of the base without it."""
    import peft

    before = dict(llm.generate(ASKED))
    torch.manual_seed(1)
    config = getattr(peft, kind)(task_type="CAUSAL_LM", num_virtual_tokens=4)
    made = peft.get_peft_model(Qwen3ForCausalLM.from_pretrained(tiny_folder), config)
    torch.nn.init.normal_(next(weight for name, weight in made.named_parameters() if "prompt_encoder" in name))
    made.save_pretrained(tmp_path / "run" / "adapter")
    tuned = llm.with_adapter(tmp_path / "run" / "adapter")
    answers = dict(tuned.generate(ASKED))
    assert [answers[at].text for at in range(len(ASKED))] != [before[at].text for at in range(len(ASKED))]
    same(answers, alone(tuned, ASKED))
    same(dict(LocalLLM(tuned.weights).generate(ASKED)), before)


@pytest.mark.parametrize("setting", [{"use_cache": False}, {"cache_implementation": "static"}])
def test_a_models_own_word_on_its_cache_changes_nothing(llm, setting):
    """Models that were saved while they were trained ask for none, others for one of fixed size."""
    expected = dict(llm.generate(ASKED))
    llm.weights.model.generation_config.update(**setting)
    same(dict(llm.generate(ASKED)), expected)


def test_a_resumed_run_gets_the_same_answers(llm):
    """What was answered before is skipped, and the rest is answered as if nothing had been."""
    together = dict(llm.generate(ASKED))
    done = {0, 1, 5}
    rest = dict(llm.generate(ASKED, skip=done))
    assert rest == {at: together[at] for at in together if at not in done}


def test_families_that_do_not_fit_are_parted(llm, monkeypatch):
    """With memory for two prompts at a time the answers stay what they were."""
    expected = dict(llm.generate(ASKED))
    complete = llm._complete

    def cramped(chats, requests, streamer):
        if len(requests) > 2:
            raise MemoryError
        return complete(chats, requests, streamer)

    monkeypatch.setattr(llm, "_complete", cramped)
    same(dict(llm.generate(ASKED)), expected)
