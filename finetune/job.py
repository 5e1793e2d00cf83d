"""What a run is made of and where it lies: its data, settings and base model are its key."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from kb.errors import ConfigError, UsageError, WorkspaceError
from kb.finetune.config import TrainConfig
from kb.finetune.data import PreferenceRow, Row, data_hash, ready_preferences, training_rows
from kb.llm.base import ModelConfig
from kb.llm.identity import combine, folder_identity
from kb.llm.open import find_folder, is_local
from kb.prompt import Prompts
from kb.retrieval.hybrid import Retriever
from kb.workspace import Workspace, write_text

NOT_IN_KEY = ("name", "checkpoints")
"""Settings that change nothing of what is learnt."""
NOT_IN_SFT = (*NOT_IN_KEY, "stages", "gradient_checkpointing", "micro_batch")
"""Settings, beside those of DPO, with which a finished SFT may be used again."""


@dataclass(frozen=True)
class Job:
    """One run."""

    name: str
    folder: Path
    base: Path
    base_identity: str
    model: ModelConfig
    config: TrainConfig
    rows: tuple[Row, ...]
    ready: tuple[PreferenceRow, ...]
    """Preference rows of `kb generate-qa`; DPO adds those of the tuned model's own answers."""

    @property
    def sft_key(self) -> str:
        """Sixteen hex digits over what decides the SFT stage: a change for DPO does not do SFT over again."""
        settings = {
            key: value for key, value in asdict(self.config).items()
            if key not in NOT_IN_SFT and not key.startswith("dpo_")
        }  # fmt: skip
        return combine([data_hash(self.rows), json.dumps(settings, sort_keys=True), self.base_identity])

    def adapter(self, stage: str) -> Path:
        """Where a stage saves its adapter; the folder appears whole or not at all."""
        return self.folder / stage / "adapter"


def plan(workspace: Workspace, config: TrainConfig, model: ModelConfig, prompts: Prompts, retriever: Retriever) -> Job:
    """The job these settings name, its folder begun.

    Raises as `named_job` does, and UsageError for a name that was used for another job.
    """
    job, key = named_job(workspace, config, model, prompts, retriever)
    begin(job.folder, key)
    return job


def named_job(
    workspace: Workspace, config: TrainConfig, model: ModelConfig, prompts: Prompts, retriever: Retriever
) -> tuple[Job, str]:
    """The job these settings name, and its key; nothing of it is begun.

    Raises UsageError for a model that cannot be trained, WorkspaceError when there is nothing to train on.
    """
    if not is_local(model.name):
        raise UsageError(
            f"{model.name} is not a local model and cannot be trained; set [model] name to a folder or hub id"
        )
    base = find_folder(model.name)
    rows = training_rows(workspace.store, prompts, retriever, config, replay_file(config.replay, base))
    if len(rows) == 1:
        raise WorkspaceError(
            f"there is one row to train on ({rows[0].source}), and a model that learns one answer gives it to"
            " everything. Ingest more documents, then: kb generate-qa"
        )
    ready = ready_preferences(workspace.store, prompts) if "dpo" in config.stages else []
    identity = combine([folder_identity(base, workspace.store), f"nf4={model.load_in_4bit}"])
    key = run_key(rows, ready, config, identity)
    name = config.name or f"{'-'.join(config.stages)}-{key[:8]}"
    return Job(name, workspace.run(name), base, identity, model, config, tuple(rows), tuple(ready)), key


def run_key(rows: Sequence[Row], ready: Sequence[PreferenceRow], config: TrainConfig, base_identity: str) -> str:
    """Sixteen hex digits over everything that decides what a run learns."""
    settings = {key: value for key, value in asdict(config).items() if key not in NOT_IN_KEY}
    return combine([data_hash(rows), data_hash(ready), json.dumps(settings, sort_keys=True), base_identity])


def begin(folder: Path, key: str) -> None:
    """Mark the folder as this job's. Raises UsageError when it is another's: a run never goes on with other data."""
    file = folder / "key"
    if not file.exists():
        write_text(file, key + "\n")
    elif file.read_text(encoding="utf-8").strip() != key:
        raise UsageError(
            f"the run {folder.name} was started with other data, settings or base model; choose another --name,"
            f" or delete {folder}"
        )


def take_sft(job: Job) -> str:
    """Copy the finished SFT stage of another run with the same key into this one; the name of that run, "" if none.

    What an SFT begun here has left gives way to it. A kill leaves no adapter, and the next call copies again.
    """
    for file in sorted(job.folder.parent.glob("*/sft/key")):
        source, target = file.parent, job.folder / "sft"
        if source != target and (source / "adapter").exists() and file.read_text(encoding="utf-8") == job.sft_key:
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            for name in ("key", "result.json"):
                shutil.copy2(source / name, target / name)
            shutil.copytree(source / "adapter", target / "adapter.part")
            (target / "adapter.part").rename(target / "adapter")
            return source.parent.name
    return ""


def replay_file(setting: str, base: Path) -> Path | None:
    """The replay rows to mix in. Raises ConfigError when a named file is missing."""
    if setting == "none":
        return None
    if setting == "auto":
        own = base / "replay.jsonl"
        return own if own.exists() else None
    path = Path(setting).expanduser()
    if not path.is_file():
        raise ConfigError(f"[train] replay: {path} is not a file; expected one, or `auto` or `none`")
    return path
