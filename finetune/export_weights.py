"""The weights of an exported model: the adapter merged into the base as it was trained, in files of a few GB."""

from __future__ import annotations

import json
import logging
import math
import shutil
from pathlib import Path
from typing import Any

import psutil
import torch
from safetensors import safe_open

from kb.errors import KBError, UsageError
from kb.finetune.cards import GIB
from kb.finetune.model import merge
from kb.llm.adapters import adapter_kind
from kb.llm.weights import compute_dtype, load_base
from kb.workspace import write_json

log = logging.getLogger(__name__)

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
SHARD = "4GB"
"""Most of one file, which file systems and uploads of every kind take."""
MARGIN = 1.1
"""Of memory and disk, over what the weights alone take."""
NF4_AND_PLAIN = 1.3
"""Weights that are in memory while a 4-bit base is turned back, over the plain ones alone."""


def is_full(adapter: Path) -> bool:
    """Whether a run's folder holds a whole model, as full fine-tuning leaves it, and no adapter.

    Raises UsageError for an adapter that no weight can take up: trained prompts and prefixes.
    """
    kind = adapter_kind(adapter)
    if not kind:
        return True
    if kind != "LORA":
        raise UsageError(
            f"{adapter} is of the kind {kind}, which is fed to the model beside the question and cannot be merged into"
            " its weights. Serve it with its adapter: kb chat, kb serve; or train a LoRA, which can"
        )
    return False


def parameters(folder: Path) -> int:
    """Weights in the model of a folder, from the heads of its files; what is not safetensors is taken for 16 bits."""
    count = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118
                count += math.prod(tensors.get_slice(name).get_shape())
    return count or sum(file.stat().st_size for file in folder.glob("pytorch_model*.bin")) // 2


def check_disk(folder: Path, size: int) -> None:
    """Raise KBError when the disk of `folder` has not `size` bytes and a margin free."""
    place = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(place).free
    if free < size * MARGIN:
        raise KBError(
            f"the export takes {size * MARGIN / GIB:.1f} GiB, and {place} has {free / GIB:.1f} GiB free. Free some, or"
            " name a folder on another disk with --out"
        )


def merged(base: Path, four_bit: bool, adapter: Path, dtype: torch.dtype) -> Any:
    """The model that the base in a folder and an adapter make, as one set of weights in `dtype`.

    A base that was trained on in 4 bits is loaded so, turned back into plain matrices and then merged: these are the
    matrices that the adapter was trained on. Merged inside 4 bits the sum is rounded to 16 levels again, and the
    original base never saw the adapter (docs/measurements/merging.md). It is loaded anew, because bitsandbytes packs
    the weights of a model that has answered anything on an AVX512-BF16 CPU in an order of its own, and what it turns
    back of those is noise. Raises KBError when memory does not suffice or a weight is not a number.
    """
    if is_full(adapter):
        return load_base(adapter, False).to(dtype)
    model = _where_it_fits(load_base(base, four_bit), parameters(base))
    if getattr(model, "is_quantized", False):
        # It warns of the loss by quantising, which the adapter was trained with.
        logging.getLogger("transformers.integrations.bitsandbytes").setLevel(logging.ERROR)
        model = model.dequantize(dtype=compute_dtype())
    try:
        return merge(model, adapter, dtype)
    except ValueError as error:
        raise KBError(f"the adapter {adapter} cannot be merged: {error}. Train again: kb train") from error


def _where_it_fits(base: Any, count: int) -> Any:
    """The base where its plain matrices have room: on its GPU, else in main memory. Raises KBError without it."""
    size = count * compute_dtype().itemsize * NF4_AND_PLAIN
    if torch.cuda.is_available() and torch.cuda.mem_get_info()[0] > size:
        return base
    free = psutil.virtual_memory().available
    log.info("export: merging takes about %.3g GiB of main memory", size / GIB)
    if free < size:
        raise KBError(
            f"merging takes {size / GIB:.1f} GiB of main memory and {free / GIB:.1f} GiB are free. Close other"
            " programs, or export on a machine with more: copy .kb and the base there"
        )
    return base.to("cpu")


def save(model: Any, base: Path, folder: Path) -> None:
    """Write weights and config. The base's own config.json is kept where it describes the same architecture.

    Other tools read that as the base's authors wrote it; only what says how its numbers are stored is changed.
    """
    model.save_pretrained(str(folder), max_shard_size=SHARD)
    written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    own = json.loads((base / "config.json").read_text(encoding="utf-8"))
    config = own if own.get("architectures") == written.get("architectures") else written
    config.pop("quantization_config", None)
    config |= {key: written["dtype"] for key in ("torch_dtype", "dtype") if key in config}
    config |= {key: written[key] for key in ("tie_word_embeddings",) if key in written}
    write_json(folder / "config.json", config)
