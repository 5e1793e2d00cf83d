"""What the commands share: their common options, logging to stderr, settings, model, retriever and output."""

from __future__ import annotations

import errno
import io
import json
import logging
import math
import os
import sqlite3
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kb.config import Settings, read_settings
from kb.errors import ConfigError, UsageError
from kb.offline import switch_off_telemetry
from kb.store import passing
from kb.workspace import Workspace

if TYPE_CHECKING:
    from kb.llm.base import ModelConfig
    from kb.prompt import Prompts
    from kb.retrieval.hybrid import Retriever

log = logging.getLogger("kb")

DEFAULT_WORKSPACE = Path(".kb")

WorkspaceOption = Annotated[
    Path, typer.Option("--workspace", envvar="KB_WORKSPACE", help="Folder for everything kb makes.")
]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings file.  [default: ./kb.toml if there]")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
ModelOption = Annotated[
    str | None, typer.Option("--model", help="Hub id, folder, lab, openai:NAME or fake:FILE; over kb.toml.")
]
PromptsOption = Annotated[str | None, typer.Option("--prompts", help="Folder of prompt files that replace kb's own.")]


@dataclass(frozen=True)
class Session:
    """What the common options say."""

    root: Path
    settings: Settings
    as_json: bool

    def resolve(self, kind: type[Any], section: str, **flags: Any) -> Any:
        """A stage's settings; those that are not defaults are said once, with where they come from."""
        config, origin = self.settings.resolve(kind, section, **flags)
        chosen = [f"{key}={getattr(config, key)} ({origin[key]})" for key in sorted(origin) if origin[key] != "default"]
        if chosen:
            log.info("%s: %s", section, ", ".join(chosen))
        return config

    def check(self) -> None:
        """Raise ConfigError for whatever is wrong in kb.toml, whichever command it is for.

        A misspelt setting of the last stage must not come to light after hours of the first.
        """
        from kb.evaluate.run import EvalConfig
        from kb.finetune.config import TrainConfig
        from kb.finetune.export_config import ExportConfig
        from kb.ingest.config import IngestConfig
        from kb.llm.base import ModelConfig
        from kb.qa_gen.config import GenerateConfig
        from kb.retrieval.hybrid import RetrievalConfig
        from kb.serving.config import ServeConfig

        for section, kind in (
            ("model", ModelConfig), ("probes", ModelConfig), ("retrieval", RetrievalConfig), ("ingest", IngestConfig),
            ("generate", GenerateConfig), ("train", TrainConfig), ("export", ExportConfig), ("eval", EvalConfig),
            ("serve", ServeConfig),
        ):  # fmt: skip
            self.settings.resolve(kind, section)

    def model(self, name: str | None, pack: str | None) -> tuple[ModelConfig, Prompts]:
        """The model's settings and the prompts that go with it; the lab model brings its own.

        An export of kb is read as it was written, unless a setting puts it in 4 bits: rounded anew, it would not be
        the model that was checked.
        """
        from kb.llm.base import ModelConfig
        from kb.llm.exported import exported
        from kb.llm.open import lab_folder
        from kb.prompt import open_pack

        config = self.resolve(ModelConfig, "model", name=name, prompts=pack)
        made = exported(config.name)
        if made and "load_in_4bit" not in self.settings.values.get("model", {}):
            log.info("model: run %s as it was exported, so not in 4 bits again", made.run)
            config = replace(config, load_in_4bit=False)
        folder = config.prompts
        if folder == "lab" or (not folder and config.name == "lab"):
            folder = str(lab_folder() / "prompts")
        return config, open_pack(folder, config.tag)

    def prober(self) -> ModelConfig | None:
        """The settings of the model that writes the held-out wordings, where kb.toml names one of its own.

        It is asked by the prompts of `[model]`. Raises ConfigError for a setting that would change nothing.
        """
        from kb.llm.base import ModelConfig

        given = self.settings.values.get("probes", {})
        if not given:
            return None
        idle = sorted({"prompts", "tag"} & given.keys())
        if idle or "name" not in given:
            wrong = f"has no use for {idle[0]}, which is set under [model]" if idle else "names no model: set name"
            raise ConfigError(f"{self.settings.path}: [probes] {wrong}")
        config: ModelConfig = self.resolve(ModelConfig, "probes")
        return config

    def retriever(self, workspace: Workspace, write: bool = True) -> Retriever:
        """The retriever over the workspace's chunks; a writer also embeds what is new."""
        return self.retrieval(workspace, write)()

    def retrieval(self, workspace: Workspace, write: bool = True) -> Callable[[], Retriever]:
        """A function that opens the retriever. Raises at once for settings that are wrong or name what is not there."""
        from kb.retrieval.hybrid import RetrievalConfig, check_models, open_retriever

        config = self.resolve(RetrievalConfig, "retrieval")
        check_models(config)

        def opened() -> Retriever:
            found = open_retriever(workspace, config, write)
            log.info("retrieval: %s, %d passages", found.description, len(found.chunks))
            return found

        return opened

    @contextmanager
    def writing(self, create: bool = False) -> Iterator[Workspace]:
        """The workspace, this process being the one that writes; all of kb.toml is checked before."""
        self.check()
        workspace = Workspace(self.root, create)
        with workspace.lock():
            yield workspace

    @contextmanager
    def reading(self) -> Iterator[Workspace]:
        """The workspace as it is; where there is none, an empty one that goes again."""
        if (self.root.expanduser() / "kb.db").exists():
            yield Workspace(self.root)
            return
        with tempfile.TemporaryDirectory() as folder:
            yield Workspace(Path(folder), create=True)

    def text(self, result: Any, lines: Sequence[str]) -> str:
        """What the command prints: the result as one JSON document, or the lines."""
        if self.as_json:
            return json.dumps(plain(result), ensure_ascii=False, indent=1, default=str)
        return "\n".join(lines)


class _Stderr(logging.Handler):
    """Log lines to what stderr is at the moment: a progress bar puts itself there, and prints them above it."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


def start(root: Path, config: Path | None, as_json: bool) -> Session:
    """Read the settings and send the log to stderr. Raises ConfigError when the settings cannot be read."""
    switch_off_telemetry()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a letter gets its number, not a traceback.
            stream.reconfigure(errors="backslashreplace")
    if not sys.warnoptions:
        # Libraries warn each other's authors of what will be renamed; nothing a user of kb could act on.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[_Stderr()])
    log.setLevel(logging.INFO)
    return Session(root, read_settings(config), as_json)


def lines_of(file: Path | None) -> list[str]:
    """The lines of a file that an option names, empty ones left out; none without a file. Raises UsageError."""
    if file is None:
        return []
    try:
        return [line for line in file.read_text(encoding="utf-8-sig").splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise UsageError(f"{file}: {reason}") from error


def highlight() -> tuple[str, str]:
    """What to put around a passage: reverse video on a terminal, else brackets."""
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return ("\033[7m", "\033[0m") if coloured else ("[[", "]]")


def misuse(error: Any) -> str:
    """What click says of a command that cannot be read, and where help is; help itself for `kb` alone."""
    message = str(error.format_message())
    context = getattr(error, "ctx", None)
    if context is None or message == context.get_help():
        return message
    return f"{message.rstrip('.')}. See: {context.command_path} --help"


def trouble(error: Exception) -> str:
    """What to say of an error that is the machine's and no bug: disk full, no permission, database busy; else ""."""
    if isinstance(error, OSError) and error.errno in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
    ):
        what = f"{error.filename or 'writing'}: {error.strerror}"
    elif isinstance(error, sqlite3.Error) and passing(error):
        what = f"the workspace's database: {error}"
    else:
        return ""
    return f"{what}. What is done is kept; mend this, and the same command again goes on from there"


def plain(value: Any) -> Any:
    """A result as JSON can hold it: records as objects, numbers that are none (NaN) as null."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def counted(counts: Mapping[str, int], title: str) -> list[str]:
    """A reason histogram, most frequent first, as lines; nothing when there is nothing to say."""
    rows = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [f"{title}:"] + [f"  {count:>6}  {reason}" for reason, count in rows] if rows else []
