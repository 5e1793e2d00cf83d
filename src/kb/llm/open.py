"""From the `[model]` section to a model that answers."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from kb.errors import ModelUnavailable, UsageError
from kb.llm.base import LLM, ModelConfig
from kb.offline import hub_is_offline
from kb.store import Store


def open_model(config: ModelConfig, store: Store | None = None, adapter: Path | None = None) -> LLM:
    """Open the model that `config.name` says: `lab`, `openai:MODEL`, `fake:FILE`, a folder or a hub id.

    Raises ModelUnavailable when it is not on disk and cannot be fetched, UsageError when an adapter is asked of a
    model that is not local.
    """
    kind, _, rest = config.name.partition(":")
    if kind in ("openai", "fake"):
        if adapter:
            raise UsageError(f"{config.name} is not a local model, so kb cannot put the adapter {adapter} on it")
        if kind == "fake":
            from kb.llm.fake import FakeLLM

            return FakeLLM.from_file(Path(rest))
        from kb.llm.openai_api import OpenAIServer

        return OpenAIServer(config, rest)
    folder = find_folder(config.name)
    from kb.llm.local import LocalLLM
    from kb.llm.weights import load_weights

    weights = load_weights(folder, config.load_in_4bit, config.batch_tokens, store)
    return LocalLLM(weights, adapter, store)


def is_local(name: str) -> bool:
    """Whether a model name means weights on this machine, which can be trained."""
    return name.partition(":")[0] not in ("openai", "fake")


def lab_folder() -> Path:
    """The bundled lab model."""
    return Path(str(resources.files("kb.corpora"))) / "lab"


PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
"""What of a hub repository is a model."""


def local_folder(name: str) -> Path | None:
    """The folder with the model's files if it is on this disk: bundled, given, or in the hub's cache.

    Raises ModelUnavailable for a name that cannot be a model.
    """
    if name == "lab":
        return lab_folder()
    folder = Path(name).expanduser()
    if (folder / "config.json").exists():
        return folder
    if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") != 1:
        raise ModelUnavailable(f"{name} is not a model: a folder with a config.json, a hub id (OWNER/NAME) or `lab`")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, allow_patterns=PATTERNS, local_files_only=True))
    except (LocalEntryNotFoundError, FileNotFoundError):
        return None
    return folder if _has_weights(folder) else None


def _has_weights(folder: Path) -> bool:
    """Whether all weights are there: the hub's cache also holds what an interrupted download left."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        return any(folder.glob("*.safetensors"))
    files: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    return all((folder / file).exists() for file in set(files.values()))


WAYS_OUT = """Three ways out, in kb.toml under [model]:
  name = "/path/to/a/folder"       a model you copied here (config.json, *.safetensors, tokenizer)
  name = "openai:MODEL"            a server: vLLM, Ollama, llama.cpp (set base_url); it cannot be trained
  name = "lab"                     the bundled lab model: fictional world only, for trying kb out"""


def find_named(what: str, name: str, cure: str) -> Path:
    """`find_folder` for a model that a setting names: the error says which setting, and ends with its cure."""
    try:
        return find_folder(name, cure)
    except ModelUnavailable as error:
        said = str(error)
        raise ModelUnavailable(f"{what}: {said if cure in said else f'{said}. {cure}'}") from error


def find_folder(name: str, cure: str = WAYS_OUT) -> Path:
    """The folder with the model's files, fetched from the hub if need be.

    Raises ModelUnavailable for a name that cannot be a model, and with the cure where the files are out of reach.
    """
    folder = local_folder(name)
    if folder:
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    reason = "HF_HUB_OFFLINE is set"
    if not hub_is_offline():
        try:
            return Path(snapshot_download(name, allow_patterns=PATTERNS))
        except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
            reason = f"the hub cannot be used ({str(error).splitlines()[0]})"
    raise ModelUnavailable(f"{name} is not on this disk and {reason}. {cure}")
