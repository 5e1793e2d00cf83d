"""From a folder to a local model, and what a folder may lack."""

from dataclasses import replace

import pytest

from kb.errors import ModelUnavailable
from kb.llm import ModelConfig, Request, open_model, user

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("four_bit", [False, True])
def test_opened_by_folder(tiny_folder, four_bit):
    """A folder is a model; in 4 bits it is another one, answers, and has its linear layers in 4 bits."""
    config = ModelConfig(name=str(tiny_folder), load_in_4bit=four_bit)
    llm = open_model(config)
    other = open_model(replace(config, load_in_4bit=not four_bit))
    assert llm.label == tiny_folder.name
    assert llm.identity != other.identity
    assert len(dict(llm.generate([Request(user("一"), max_tokens=4)] * 2))) == 2
    assert any("4bit" in type(module).__name__ for module in llm.weights.model.modules()) == four_bit
    llm.close()
    assert llm.weights.model is None


def test_a_width_that_4_bits_get_wrong_is_refused(make_model, tmp_path):
    """On a CPU a width of 96 would give silently wrong numbers."""
    make_model(tmp_path, inner=96)
    open_model(ModelConfig(name=str(tmp_path), load_in_4bit=False))
    with pytest.raises(ModelUnavailable, match=r"mlp\.down_proj has a width that is not a multiple of 64"):
        open_model(ModelConfig(name=str(tmp_path)))


def test_a_damaged_folder_is_told(make_model, tmp_path):
    """Cut weights, no weights, no chat template, no tokenizer: each names the folder and what is wrong."""
    make_model(tmp_path)
    config = ModelConfig(name=str(tmp_path), load_in_4bit=False)
    weights = tmp_path / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:1000])
    with pytest.raises(ModelUnavailable, match=f"{tmp_path}: the model cannot be loaded"):
        open_model(config)
    weights.unlink()
    with pytest.raises(ModelUnavailable, match=f"{tmp_path}: the model cannot be loaded"):
        open_model(config)
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(ModelUnavailable, match="has no chat template"):
        open_model(config)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ModelUnavailable, match="the tokenizer cannot be loaded"):
        open_model(config)


def test_other_weights_are_another_model(make_model, tiny_folder, tmp_path):
    """The identity follows the content of the folder, not its name."""
    make_model(tmp_path, seed=1)
    names = [str(tiny_folder), str(tmp_path)]
    one, other = (open_model(ModelConfig(name=name, load_in_4bit=False)) for name in names)
    assert one.identity != other.identity
    make_model(tmp_path, seed=0)
    assert open_model(ModelConfig(name=names[1], load_in_4bit=False)).identity == one.identity
