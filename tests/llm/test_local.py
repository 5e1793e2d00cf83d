"""Local models, by a tiny one with random weights in fp32."""

from dataclasses import replace

import pytest

from kb.errors import LLMError, ModelUnavailable
from kb.llm import Completion, Message, Request, user

pytestmark = pytest.mark.slow

TOKENS = 24
MIXED = [
    Request(user(f"question {n}" + "，中一丁" * (n % 5)), max_tokens=TOKENS, temperature=n % 2, seed=n)
    for n in range(12)
]


@pytest.fixture(scope="module")
def adapters(tiny_folder, tmp_path_factory, make_adapter):
    """A function that saves a LoRA adapter of the tiny model, B drawn with this spread, and gives its folder."""

    def make(name, spread, folder=tiny_folder):
        return make_adapter(tmp_path_factory.mktemp("runs") / name / "adapter", folder, len(name), spread)

    return make


def answers(llm, requests, skip=()):
    return dict(llm.generate(requests, skip))


def plain_greedy(llm, request, count):
    """Greedy decoding by whole forward passes, without cache, batch or generate."""
    import torch

    ids = llm.prompt_ids(request)
    start = len(ids)
    with torch.no_grad():
        while len(ids) < start + count and ids[-1] not in llm.weights.model.generation_config.eos_token_id:
            ids.append(int(llm.weights.model(torch.tensor([ids])).logits[0, -1].argmax()))
    return llm.weights.tokenizer.decode(ids[start:], skip_special_tokens=True)


def test_the_models_own_decoding_settings_change_nothing(llm, monkeypatch):
    """A checkpoint that brings a repetition penalty along is decoded like any other."""
    greedy = [replace(request, temperature=0.0) for request in MIXED]
    plain = {number: done.text for number, done in answers(llm, greedy).items()}
    config = llm.weights.model.generation_config
    for name, value in (("repetition_penalty", 5.0), ("no_repeat_ngram_size", 1), ("num_beams", 2)):
        monkeypatch.setattr(config, name, value)
    assert {number: done.text for number, done in answers(llm, greedy).items()} == plain


def test_greedy_answers_are_those_of_a_plain_forward_pass(llm):
    """Left padding, cache and batch change nothing, and the sampling settings in the model's folder are not used."""
    greedy = [replace(request, temperature=0.0) for request in MIXED]
    got = answers(llm, greedy)
    for number, request in enumerate(greedy):
        end = "" if got[number].finish == "length" else "abcdefgh"
        assert plain_greedy(llm, request, TOKENS).rstrip(end).strip() == got[number].text


def test_the_company_in_a_batch_changes_no_answer(llm):
    """Greedy and sampled requests, short and long, get alone what they get together, and with a smaller batch."""
    together = answers(llm, MIXED)
    assert {done.finish for done in together.values()} == {"stop", "length"}
    assert len({done.text for done in together.values()}) == 12
    for number, request in enumerate(MIXED):
        assert answers(llm, [request]) == {0: together[number]}
    llm.weights.batch_tokens = 150
    assert answers(llm, MIXED) == together


def test_seeds_decide_samples(llm):
    """The same seed draws the same answer, another seed another one; a greedy answer has no seed."""
    sampled = [replace(MIXED[1], seed=seed) for seed in (1, 1, 2)]
    texts = [done.text for _, done in sorted(answers(llm, sampled).items())]
    assert texts[0] == texts[1] != texts[2]
    greedy = [replace(MIXED[0], seed=seed) for seed in (1, 2)]
    assert len({done.text for done in answers(llm, greedy).values()}) == 1


def test_samples_follow_the_softmax(llm):
    """Of 600 first tokens drawn at a temperature of 2, each frequent one comes about as often as its probability."""
    import torch

    request = Request(user("一"), max_tokens=1, temperature=2.0)
    with torch.no_grad():
        logits = llm.weights.model(torch.tensor([llm.prompt_ids(request)])).logits[0, -1]
    likely = torch.softmax(logits / 2, -1)
    drawn = answers(llm, [replace(request, seed=seed) for seed in range(600)])
    token = int(likely.argmax())
    text = llm.weights.tokenizer.decode([token])
    share = sum(done.text == text for done in drawn.values()) / 600
    assert abs(share - float(likely[token])) < 0.06


def test_skipped_requests_are_not_answered_and_do_not_change_the_others(llm):
    """A resumed run gets exactly the answers it lacks, and they are those of an undisturbed one."""
    together = answers(llm, MIXED)
    rest = answers(llm, MIXED, skip={0, 3, 4, 9})
    assert rest == {number: done for number, done in together.items() if number not in {0, 3, 4, 9}}


def test_finish_says_whether_the_answer_ended(llm):
    """An answer that ended is shorter than the limit and "stop"; one that did not has used the limit up."""
    got = answers(llm, MIXED)
    for done in got.values():
        assert (done.completion_tokens == TOKENS) == (done.finish == "length")
        assert done.prompt_tokens > 0
    ended = next(number for number, done in got.items() if done.finish == "stop")
    shorter = replace(MIXED[ended], max_tokens=got[ended].completion_tokens - 1)
    assert answers(llm, [shorter])[0].finish == "length"


def test_stop_strings_end_an_answer_and_are_not_part_of_it(llm):
    """In a batch an answer with the string ends before it, one without is as it was, and each counts its tokens."""
    whole = answers(llm, MIXED[:1])[0]
    mark = whole.text[5:7]
    got = answers(llm, [replace(request, stop=(mark, "@@")) for request in MIXED])
    place = whole.text.find(mark)
    assert got[0] == Completion(whole.text[:place].strip(), "stop", "", whole.prompt_tokens, place + len(mark))
    without = next(n for n, done in answers(llm, MIXED).items() if mark not in done.text and done.finish == "length")
    assert got[without] == answers(llm, MIXED)[without]


def test_a_prompt_over_the_limit_of_the_model_is_an_error_of_its_own(llm):
    """It is told with both numbers, and the others are answered."""
    got = answers(llm, [MIXED[0], Request(user("一" * 600), max_tokens=5)])
    assert got[1].error == "prompt of 619 tokens is over the model's 512"
    assert got[0].finish == "length"


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes")]
)
def test_out_of_memory_halves_the_batch_and_is_remembered(llm, monkeypatch, error):
    """With memory for three at a time all are answered as before; the next run makes batches of that size at once."""
    expected = answers(llm, MIXED)
    complete, sizes = llm._complete, []

    def cramped(chats, requests, streamer):
        sizes.append(len(requests))
        if len(requests) > 3:
            raise error
        return complete(chats, requests)

    monkeypatch.setattr(llm, "_complete", cramped)
    limit = 12 * (max(done.prompt_tokens for done in expected.values()) + TOKENS)
    llm.weights.batch_tokens = limit
    assert answers(llm, MIXED) == expected
    assert sizes[:3] == [12, 6, 3]
    assert sizes.count(12) == sizes.count(6) / 2 == 1
    assert llm.weights.batch_tokens == limit // 4
    sizes.clear()
    assert answers(llm, MIXED) == expected
    assert max(sizes) == 3


def test_an_error_on_the_gpu_is_one_of_memory_too(llm, monkeypatch):
    """The error of torch itself counts, and any other error is not swallowed."""
    import torch

    def fails(error):
        def complete(ids, requests, streamer):
            raise error

        monkeypatch.setattr(llm, "_complete", complete)
        return answers(llm, MIXED[:2])

    got = fails(torch.OutOfMemoryError("CUDA out of memory"))
    assert got[0].error == "out of memory on this prompt alone: take a smaller model or shorter chunks"
    with pytest.raises(RuntimeError, match="size mismatch"):
        fails(RuntimeError("size mismatch"))


def test_logprobs_are_those_of_a_plain_forward_pass(llm, monkeypatch):
    """Continuations of several lengths, scored in one batch, in halves and alone; an empty one scores zero."""
    import torch

    tails = ["一丁", "yes", "丁七万，" * 3, ""]
    expected = []
    for request, tail in zip(MIXED, tails, strict=False):
        head, ids = llm.prompt_ids(request), llm.weights.tokenizer.encode(tail, add_special_tokens=False)
        with torch.no_grad():
            logits = llm.weights.model(torch.tensor([head + ids])).logits[0]
        steps = torch.log_softmax(logits, -1)[len(head) - 1 : len(head) + len(ids) - 1]
        expected.append(float(sum(steps[place, token] for place, token in enumerate(ids))))
    for batch_tokens in (4096, 60):
        llm.weights.batch_tokens = batch_tokens
        scored = llm.logprobs(MIXED[:4], tails)
        assert [score for score, _ in scored] == pytest.approx(expected, abs=1e-3)
        assert [count for _, count in scored] == [2, 3, 12, 0]

    score = llm._score

    def cramped(heads, tails):
        if len(heads) > 1:
            raise MemoryError
        return score(heads, tails)

    monkeypatch.setattr(llm, "_score", cramped)
    llm.weights.batch_tokens = 4096
    assert [value for value, _ in llm.logprobs(MIXED[:4], tails)] == pytest.approx(expected, abs=1e-3)


def test_a_greedy_answer_says_how_likely_it_was(llm):
    """The sum over its tokens and end of what a plain forward pass says, also in a batch; a sampled one does not."""
    import torch

    greedy = [replace(request, temperature=0.0) for request in MIXED]
    found = answers(llm, greedy)
    assert {done.finish for done in found.values()} == {"stop", "length"}
    for number, request in enumerate(greedy):
        ids = llm.prompt_ids(request)
        expected = 0.0
        for _ in range(found[number].completion_tokens):
            with torch.no_grad():
                steps = torch.log_softmax(llm.weights.model(torch.tensor([ids])).logits[0, -1], -1)
            ids.append(int(steps.argmax()))
            expected += float(steps.max())
        assert found[number].logprob == pytest.approx(expected, abs=1e-3)
    assert all(
        done.logprob is None for done in answers(llm, [request for request in MIXED if request.temperature]).values()
    )


def test_logprobs_of_a_model_with_absolute_positions(llm):
    """A model that adds positions to its input is scored in a batch as alone, though padding shifts the tokens."""
    from transformers import GPT2Config, GPT2LMHeadModel

    size = {"n_embd": 64, "n_layer": 2, "n_head": 2, "n_positions": 512, "initializer_range": 0.3}
    llm.weights.model = GPT2LMHeadModel(GPT2Config(vocab_size=len(llm.weights.tokenizer), **size)).eval()
    tails = ["一丁", "yes", "丁七万，" * 3, "no"]
    together = [score for score, _ in llm.logprobs(MIXED[:4], tails)]
    alone = [llm.logprobs([request], [tail])[0][0] for request, tail in zip(MIXED, tails, strict=False)]
    assert together == pytest.approx(alone, abs=1e-3)


def test_an_adapter_shares_the_weights_and_changes_the_answers(llm, adapters):
    """Base and tuned are one model in memory; each answers as itself whatever was asked of the other before."""
    base = answers(llm, MIXED)
    tuned = llm.with_adapter(adapters("one", 0.05))
    other = llm.with_adapter(adapters("zwei", 0.05))
    assert tuned.weights is llm.weights
    told, told_other = answers(tuned, MIXED), answers(other, MIXED)
    assert sum(told[n].text != base[n].text for n in base) >= 6
    assert sum(told[n].text != told_other[n].text for n in base) >= 6
    assert answers(llm, MIXED) == base
    assert answers(tuned, MIXED) == told
    assert llm.logprobs(MIXED[:1], ["一"]) != tuned.logprobs(MIXED[:1], ["一"])
    assert len({llm.identity, tuned.identity, other.identity}) == 3
    assert tuned.label.endswith("+one")


def test_the_same_adapter_again_is_loaded_once(llm, adapters):
    """Opening an adapter twice costs no memory and gives the same model."""
    folder = adapters("three", 0.05)
    tuned = llm.with_adapter(folder)
    loaded = dict(llm.weights.adapters)
    again = llm.with_adapter(folder)
    assert llm.weights.adapters == loaded
    assert again.identity == tuned.identity


def test_an_adapter_without_effect_is_refused(llm, adapters, make_model, tmp_path):
    """B of zeros, another base, no files: each is an error, and the base answers as before."""
    base = answers(llm, MIXED)
    with pytest.raises(LLMError, match="changes nothing in this model"):
        llm.with_adapter(adapters("nothing", 0.0))
    make_model(tmp_path, width=128)
    with pytest.raises(LLMError, match="does not fit this model"):
        llm.with_adapter(adapters("foreign", 0.05, tmp_path))
    with pytest.raises(ModelUnavailable, match="no files of a model or an adapter"):
        llm.with_adapter(tmp_path / "nowhere")
    assert answers(llm, MIXED) == base


def test_an_adapter_of_another_kind_is_told_apart_from_one_of_another_model(llm, adapters, tmp_path):
    """A model carries adapters of one kind: both kinds are named, and the base answers as before."""
    llm.with_adapter(adapters("first", 0.05))
    base = answers(llm, MIXED[:2])
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "PROMPT_TUNING"}', encoding="utf-8")
    with pytest.raises(LLMError, match="kind PROMPT_TUNING, and this model already carries one of the kind LORA"):
        llm.with_adapter(tmp_path)
    assert answers(llm, MIXED[:2]) == base


def test_what_the_template_refuses_is_an_error(llm):
    """Some templates know no system message; their own words are told."""
    llm.weights.tokenizer.chat_template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(LLMError, match="refuses this chat: System role not supported"):
        answers(llm, [Request((Message("system", "简短"), Message("user", "hi")))])


def test_thinking_is_off_where_the_template_has_it(llm):
    """Templates that think unless told otherwise are told."""
    llm.weights.tokenizer.chat_template = "{{ 'no' if enable_thinking is defined and not enable_thinking else 'yes' }}"
    assert llm.weights.tokenizer.decode(llm.prompt_ids(MIXED[0])) == "no"
