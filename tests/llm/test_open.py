"""From a model's name to its files."""

import json

import pytest

from kb.errors import ModelUnavailable, UsageError
from kb.llm import ModelConfig, open_model
from kb.llm.open import find_folder, is_local, lab_folder, local_folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache of the hub, with a function that puts a model into it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / "models--owner--model"
    snapshot = repository / "snapshots" / ("a" * 40)

    def put(**files):
        snapshot.mkdir(parents=True, exist_ok=True)
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / "main").write_text("a" * 40)
        for name, text in files.items():
            (snapshot / name.replace("__", "-").replace("_", ".")).write_text(text)
        return snapshot

    return put


@pytest.mark.slow
def test_a_model_that_is_nowhere_names_the_ways_out(cache):
    """Offline and not on disk: one error with a folder, a server and the lab model as ways out."""
    with pytest.raises(ModelUnavailable) as caught:
        open_model(ModelConfig())
    assert str(caught.value) == (
        "Qwen/Qwen3-4B-Instruct-2507 is not on this disk and HF_HUB_OFFLINE is set."
        " Three ways out, in kb.toml under [model]:\n"
        '  name = "/path/to/a/folder"       a model you copied here (config.json, *.safetensors, tokenizer)\n'
        '  name = "openai:MODEL"            a server: vLLM, Ollama, llama.cpp (set base_url); it cannot be trained\n'
        '  name = "lab"                     the bundled lab model: fictional world only, for trying kb out'
    )


def test_a_model_in_the_hubs_cache_is_found(cache):
    """A whole snapshot is used as it is."""
    snapshot = cache(config_json="{}", model_safetensors="w")
    assert find_folder("owner/model") == snapshot


def test_what_an_interrupted_download_left_is_no_model(cache):
    """A snapshot without weights, or with some of several files of them, is not taken for the model."""
    cache(config_json="{}")
    assert local_folder("owner/model") is None
    index = json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}})
    cache(model_safetensors_index_json=index, model__1_safetensors="w")
    assert local_folder("owner/model") is None
    snapshot = cache(model__2_safetensors="w")
    assert local_folder("owner/model") == snapshot


def test_a_folder_is_taken_as_it_is(tmp_path):
    """A folder with a config.json is a model; the home folder may be written as ~."""
    (tmp_path / "config.json").write_text("{}")
    assert find_folder(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "~/nowhere", "gpt2", "a/b/c"])
def test_what_can_be_no_model_is_told_at_once(name):
    """A path that is not there and a name that is no hub id are not looked for on the hub."""
    with pytest.raises(ModelUnavailable, match=r"is not a model: a folder with a config\.json, a hub id"):
        find_folder(name)


def test_lab_and_servers_by_name():
    """`lab` is the bundled folder; servers and scripts are not local."""
    assert find_folder("lab") == lab_folder()
    assert [is_local(name) for name in ("lab", "owner/model", "openai:m", "fake:f")] == [True, True, False, False]


def test_an_adapter_needs_a_local_model(tmp_path):
    """An adapter cannot be put on a server's model."""
    with pytest.raises(UsageError, match="openai:m is not a local model"):
        open_model(ModelConfig(name="openai:m"), adapter=tmp_path)


def test_a_server_is_opened_by_name():
    """`openai:MODEL` opens a server's model, colons in the name included, without asking the server anything."""
    llm = open_model(ModelConfig(name="openai:qwen3:4b"))
    assert llm.label == "openai:qwen3:4b"
    llm.close()


@pytest.mark.parametrize(
    ("url", "name"), [("localhost:8000", "openai:m"), ("http://", "openai:m"), ("http://localhost", "openai:")]
)
def test_what_is_no_address_or_name_is_a_usage_error(url, name):
    """A base_url without http:// and a missing model name are told before anything is asked."""
    with pytest.raises(UsageError):
        open_model(ModelConfig(name=name, base_url=url))
