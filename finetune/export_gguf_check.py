"""The GGUF file of an export: made by llama.cpp's converter, read back by transformers, and compared with the adapter.

It gets its name when it has passed; one that is another model than the trained one is kept under NAME.failed.
Transformers read the tokenizer out of the file too: byte-level BPE by the rules of splitting that they know (Qwen,
Llama 3, GPT-2 and others, `SPLITS`), SentencePiece and Unigram. What they do not read is left unchecked and said.
"""

from __future__ import annotations

import logging
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedConfig
from transformers.integrations.gguf import gguf_tokenizer_mapping as tokenizers
from transformers.integrations.gguf.gguf_config_mapping import GGUF_CONFIG_ARCHS
from transformers.integrations.gguf.reader import read_gguf_metadata
from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES
from transformers.utils.import_utils import is_gguf_available

from kb.errors import KBError
from kb.finetune.export_config import ExportConfig
from kb.finetune.export_gguf import CURE, LOG, convert, find_converter
from kb.finetune.export_parity import Case, Parity, View, compare, read_parity, view_of_files, write_parity
from kb.llm.weights import device_map
from kb.workspace import write_text

log = logging.getLogger(__name__)

BYTE_LEVEL = "gpt2"
"""GGUF's name for a byte-level BPE, which splits text by one of many rules before it merges."""
SPLITS = ("gpt-2", *tokenizers.GGUF_PRE_TOKENIZER_SPLITS)
"""The rules that transformers know."""


class Unread(Exception):
    """Why transformers cannot read a GGUF file, which is then neither good nor bad."""


class Broken(Exception):
    """Why a GGUF file is not one of the model."""


@dataclass(frozen=True)
class Gguf:
    """The GGUF file of an export."""

    name: str = ""
    """Of the file in the export's folder; empty where there is none."""
    parity: Parity | None = None
    """Beside the adapter; None where it was not compared."""
    why: str = ""
    """Why there is none although it was asked for, or why it was not compared."""
    refused: str = ""
    """Why the file that was made is not the trained model; it is then not under its name."""

    @property
    def problem(self) -> str:
        """For the terminal; empty where all is well."""
        if not self.why:
            return ""
        return f"the GGUF file {self.name} was not compared: {self.why}" if self.name else f"no GGUF: {self.why}"


def present(folder: Path) -> Gguf:
    """The GGUF file that an export has already."""
    file = next(iter(sorted(folder.glob("*.gguf"))), None)
    if file is None:
        return Gguf()
    if _figures(file).exists():
        return Gguf(file.name, read_parity(_figures(file)))
    return Gguf(file.name, why="the export with --gguf and its type says why")


def make(folder: Path, run: str, config: ExportConfig, found: Sequence[Case], adapter: Callable[[], View]) -> Gguf:
    """The GGUF file of a run's export that `config` asks for. One that has passed already is not made again.

    `adapter` tells what the trained model makes of the cases; it is called when there is a file to compare.
    """
    file = folder / f"{run}-{config.gguf}.gguf"
    if file.exists() and _figures(file).exists():
        return _judged(file, file, read_parity(_figures(file)), config)
    converter = find_converter(config.llama_cpp)
    if converter is None:
        return Gguf(why=f"llama.cpp's converter is not here. {CURE}; then the same command again")
    if not is_gguf_available():
        return Gguf(why="the check of it needs the gguf package: pip install gguf; then the same command again")
    log.info("export: %s writes %s", converter.name, file.name)
    with _aside(folder) as place:
        part = place / file.name
        try:
            convert(converter, folder, config.gguf, part)
        except KBError as error:
            return Gguf(why=str(error))
        log.info("export: %s is asked the same", file.name)
        try:
            parity = compare(found, adapter(), view_of_gguf(part, folder, found))
        except Unread as error:
            part.replace(file)
            return Gguf(file.name, why=str(error))
        except Broken as error:
            return _refused(part, file, str(error))
        return _judged(part, file, parity, config)


def _judged(made: Path, file: Path, parity: Parity, config: ExportConfig) -> Gguf:
    """Give a file its name when its figures are within the limits."""
    failures = parity.failures(config.of_gguf())
    if failures:
        return _refused(made, file, "; ".join(failures))
    write_parity(_figures(file), parity)
    made.replace(file)
    _failed(file).unlink(missing_ok=True)
    return Gguf(file.name, parity)


def _refused(made: Path, file: Path, why: str) -> Gguf:
    """Keep a file under a name that says what it is, and nothing of an earlier one."""
    made.replace(_failed(file))
    file.unlink(missing_ok=True)
    _figures(file).unlink(missing_ok=True)
    write_text(file.with_name(LOG), f"{file.name} is not the model that was trained: {why}\n")
    return Gguf(refused=f"{why}. It is kept as {_failed(file)} to be looked at")


def _failed(file: Path) -> Path:
    """Where a file is kept that is refused."""
    return file.with_name(f"{file.name}.failed")


def _figures(file: Path) -> Path:
    """Where the figures of a GGUF file are."""
    return file.with_suffix(".parity.json")


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A folder for the file alone, so that nothing is read from the files beside it; gone at the end."""
    place = folder / ".gguf"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def view_of_gguf(file: Path, folder: Path, found: Sequence[Case]) -> View:
    """A GGUF file that was made of a folder, by its own tokenizer, chat template, stop token and weights.

    The file has to be alone in its own folder. Raises Unread for what transformers do not know, and Broken for a file
    that is none or has not the model's weights.
    """
    _check_readable(file)
    given: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(file.parent), **given)
        config = _config(file, folder)
        read: Any = AutoModelForCausalLM.from_pretrained(
            str(file.parent), config=config, dtype=config.dtype, device_map=device_map(), output_loading_info=True,
            ignore_mismatched_sizes=True, quantization_config=GgufConfig(dequantize=True), **given,
        )  # fmt: skip
    except NotImplementedError as error:
        raise Unread(str(error)) from error
    except (ValueError, LookupError) as error:
        raise Broken(f"transformers cannot read it: {error}") from error
    model, loaded = read
    lost = sorted(loaded["missing_keys"]) + sorted(name for name, *_ in loaded["mismatched_keys"])
    if lost:
        raise Broken(f"{len(lost)} weights are missing or of another shape: {', '.join(lost[:3])}")
    return view_of_files(tokenizer, model.eval(), found)


def _check_readable(file: Path) -> None:
    """Raise Unread or Broken by what the head of a GGUF file says, which transformers partly pass over."""
    try:
        head, _ = read_gguf_metadata(str(file))
    except (ValueError, struct.error) as error:
        raise Broken(f"it is no whole GGUF file: {error}") from error
    architecture, kind = head["general.architecture"], head.get("tokenizer.ggml.model")
    if _plain(architecture) not in map(_plain, (*GGUF_SUPPORTED_ARCHITECTURES, *GGUF_CONFIG_ARCHS)):
        raise Unread(f"transformers do not read the architecture {architecture}")
    if kind not in tokenizers.GGUF_TOKENIZER_TYPES:
        raise Unread(f"transformers do not read a tokenizer of the kind {kind}")
    split = head.get("tokenizer.ggml.pre", "")
    if kind == BYTE_LEVEL and split not in SPLITS:
        raise Unread(f"transformers do not know the pre-tokenizer {split!r}")


def _plain(architecture: str) -> str:
    """A name as llama.cpp and transformers both write it, but for hyphens."""
    return architecture.replace("_", "").replace("-", "")


def _config(file: Path, folder: Path) -> Any:
    """The configuration that a GGUF file states, and for what transformers do not read of it, that of its source.

    They pass over the width of Qwen3's heads and over the scaling of Llama's rotary positions.
    """
    said, _ = PreTrainedConfig.get_config_dict(str(file.parent), gguf_file=file.name)
    own = AutoConfig.from_pretrained(folder, local_files_only=True).to_dict()
    if own["model_type"] != said["model_type"]:
        return AutoConfig.for_model(**said)
    theta, rope = said.pop("rope_theta", None), own.get("rope_parameters") or {}
    if theta is not None and "rope_theta" in rope:
        own["rope_parameters"] = rope | {"rope_theta": theta}
    return AutoConfig.for_model(**(own | said))
