"""A store, and a model of two layers with random weights, small enough to be made in a fraction of a second."""

import pytest

from kb.store import Store

SPECIAL = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
LETTERS = ["\n", *map(chr, range(32, 127)), *"，。？！：", *map(chr, range(0x4E00, 0x4EC8))]
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def save_tokenizer(folder):
    """A tokenizer of one token a character, with a chat template."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: number for number, token in enumerate(SPECIAL + LETTERS)}
    plain = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    plain.decoder = decoders.Fuse()
    plain.add_special_tokens(SPECIAL)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<|pad|>", eos_token="<|im_end|>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return tokenizer


def save_byte_level(folder):
    """A byte-level BPE that splits text as Qwen's does, with a chat template."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast
    from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

    split = pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated")
    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    plain.decoder = decoders.ByteLevel()
    texts = ["<|im_start|>assistant user system What does it weigh? kg", "产品一共多重？产品的重量？千克"] * 2
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    plain.train_from_iterator(texts, BpeTrainer(vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<|pad|>", eos_token="<|im_end|>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return tokenizer


def save_model(folder, seed=0, width=64, inner=128, ends="abcdefgh", tokenizer_of=save_tokenizer):
    """A Qwen3 of two layers whose answers end at any of `ends` too, to have some that end and some that do not.

    Its generation config asks for sampling, as those of real models do; kb decides that itself.
    """
    import torch
    from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    tokenizer = tokenizer_of(folder)
    config = Qwen3Config(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=inner, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, head_dim=64, max_position_embeddings=512, initializer_range=0.2,
        tie_word_embeddings=False, pad_token_id=0, eos_token_id=2, bos_token_id=None,
    )  # fmt: skip
    model = Qwen3ForCausalLM(config)
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=0.6, top_k=20, top_p=0.95, pad_token_id=0,
        eos_token_id=[2, *tokenizer.convert_tokens_to_ids(list(ends))],
    )  # fmt: skip
    model.save_pretrained(folder)


def save_adapter(out, folder, seed, spread=0.05, **options):
    """A LoRA adapter of the model in `folder`, B drawn with this spread; `options` go to LoraConfig.

    DoRA's magnitudes are moved as training moves them.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import Qwen3ForCausalLM

    torch.manual_seed(seed)
    config = LoraConfig(**{"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | options)
    model = get_peft_model(Qwen3ForCausalLM.from_pretrained(folder), config)
    for key, value in model.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(value, std=spread) if spread else torch.nn.init.zeros_(value)
        elif "lora_magnitude" in key:
            value.data *= 1 + 0.2 * torch.rand_like(value)
    model.save_pretrained(out)
    return out


@pytest.fixture
def store(tmp_path):
    """A store of its own for every test."""
    store = Store(tmp_path / "kb.db")
    yield store
    store.close()


@pytest.fixture(scope="session")
def make_model():
    """The function that saves such a model in a folder."""
    return save_model


@pytest.fixture(scope="session")
def make_adapter():
    """The function that saves an adapter of such a model in a folder."""
    return save_adapter


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """The folder of the tiny model."""
    folder = tmp_path_factory.mktemp("tiny")
    save_model(folder)
    return folder


@pytest.fixture
def llm(tiny_folder):
    """The tiny model, freshly loaded, computed by one thread: faster for its size, most of all beside other work."""
    import torch

    from kb.llm.local import LocalLLM
    from kb.llm.weights import load_weights

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield LocalLLM(load_weights(tiny_folder, False, 4096, None))
    torch.set_num_threads(threads)
