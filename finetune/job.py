"""What a run is made of and where it lies: its data, settings and base model are its key."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

from kb.errors import ConfigError, UsageError, WorkspaceError
from kb.finetune.config import TrainConfig
from kb.finetune.contexts import distil_rows
from kb.finetune.data import PreferenceRow, Replay, Row, data_hash, ready_preferences, training_rows
from kb.finetune.replay import own_replay, unanswered
from kb.finetune.replay_file import replay_rows
from kb.finetune.scaling import TRIES
from kb.finetune.stages import VERIFIED, settings_of_others
from kb.finetune.stopping import LOOKS
from kb.finetune.watchlist import BASE, Watchlist, watchlist
from kb.llm.base import LLM, ModelConfig
from kb.llm.identity import combine, folder_identity
from kb.llm.open import find_folder, is_local
from kb.prompt import Prompts
from kb.retrieval.hybrid import Retriever
from kb.workspace import Workspace, write_text

NOT_IN_KEY = ("name", "checkpoints")
"""Settings that change nothing of what is learnt."""
NOT_IN_FIRST = (*NOT_IN_KEY, "stages", "gradient_checkpointing", "micro_batch")
"""Settings, beside those of other stages, with which a finished first stage may be used again."""


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
    """Preference rows of `kb generate-qa`; what learns from them adds those of the tuned model's own answers."""
    watchlist: Watchlist = field(default_factory=Watchlist)

    @property
    def first(self) -> str:
        """The stage that teaches: sft or distil."""
        return self.config.stages[0]

    @property
    def first_key(self) -> str:
        """Sixteen hex digits over what decides the first stage: a change for another does not do it over again."""
        settings = {
            key: value for key, value in asdict(self.config).items()
            if key not in NOT_IN_FIRST and not key.startswith(settings_of_others(self.first))
        }  # fmt: skip
        return combine(
            [data_hash(self.rows), json.dumps(settings, sort_keys=True), self.base_identity, self.watchlist.key]
        )

    def adapter(self, stage: str) -> Path:
        """Where a stage saves its adapter; the folder appears whole or not at all."""
        return self.folder / stage / "adapter"


def plan(
    workspace: Workspace,
    config: TrainConfig,
    model: ModelConfig,
    prompts: Prompts,
    retriever: Retriever,
    untrained: LLM | None = None,
) -> Job:
    """The job these settings name, its folder begun.

    `untrained` is the model before training: it writes the replay where it ships none. Without it there is none then.
    Raises as `named_job` does, and UsageError for a name that was used for another job.
    """
    own = partial(own_replay, untrained, workspace.store) if untrained else None
    job, key = named_job(workspace, config, model, prompts, retriever, own)
    begin(job.folder, key)
    return job


def named_job(
    workspace: Workspace,
    config: TrainConfig,
    model: ModelConfig,
    prompts: Prompts,
    retriever: Retriever,
    own: Replay | None = None,
) -> tuple[Job, str]:
    """The job these settings name, and its key; nothing of it is begun.

    `own` is the replay of a model that ships none. Distillation has its teacher write it.

    Raises UsageError for a model that cannot be trained (in this way), WorkspaceError when there is nothing to train
    on.
    """
    if not is_local(model.name):
        raise UsageError(
            f"{model.name} is not a local model and cannot be trained; set [model] name to a folder or hub id"
        )
    config.check_quantised(model.load_in_4bit)
    base = find_folder(model.name)
    distils = config.stages[0] == "distil"
    make = distil_rows if distils else training_rows
    rows = make(
        workspace.store, prompts, retriever, config, replay_source(config.replay, base, unanswered if distils else own)
    )
    if len(rows) == 1:
        raise WorkspaceError(
            f"there is one row to train on ({rows[0].source}), and a model that learns one answer gives it to"
            " everything. Ingest more documents, then: kb generate-qa"
        )
    ready = ready_preferences(workspace.store, prompts) if set(config.stages[1:]) - set(VERIFIED) else []
    identity = combine([folder_identity(base, workspace.store), f"nf4={model.load_in_4bit}"])
    # What is watched to see what is forgotten does not hang on whether it is replayed.
    told = replay_file("auto" if config.replay == "none" else config.replay, base)
    watched = replace(watchlist(workspace.store, prompts, config, told), batch_tokens=model.batch_tokens)
    key = run_key(rows, ready, config, identity, watched.key)
    name = config.name or f"{'-'.join(config.stages)}-{key[:8]}"
    folder = workspace.run(name)
    return Job(name, folder, base, identity, model, config, tuple(rows), tuple(ready), watched), key


def run_key(
    rows: Sequence[Row], ready: Sequence[PreferenceRow], config: TrainConfig, base_identity: str, watched: str = ""
) -> str:
    """Sixteen hex digits over everything that decides what a run learns; `watched` is the key of its watchlist."""
    settings = {key: value for key, value in asdict(config).items() if key not in NOT_IN_KEY}
    return combine([data_hash(rows), data_hash(ready), json.dumps(settings, sort_keys=True), base_identity, watched])


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


def take_first(job: Job) -> str:
    """Copy the finished first stage of another run with the same key into this one; the name of that run, "" if none.

    What one begun here has left gives way to it. A kill leaves no adapter, and the next call copies again.
    """
    for file in sorted(job.folder.parent.glob(f"*/{job.first}/key")):
        source, target = file.parent, job.folder / job.first
        if source != target and (source / "adapter").exists() and file.read_text(encoding="utf-8") == job.first_key:
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            for name in ("key", "result.json", LOOKS, TRIES, f"../{BASE}"):
                if (source / name).exists():
                    shutil.copy2(source / name, target / name)
            shutil.copytree(source / "adapter", target / "adapter.part")
            (target / "adapter.part").rename(target / "adapter")
            return source.parent.name
    return ""


def replay_source(setting: str, base: Path, own: Replay | None) -> Replay | None:
    """Where replay comes from: the file that `replay_file` finds, or under `auto` the model's `own` without one."""
    file = replay_file(setting, base)
    if file:
        return partial(replay_rows, file)
    return own if setting == "auto" else None


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
