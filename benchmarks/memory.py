"""Estimated against measured memory of a training step, by component.

    python benchmarks/memory.py [--out FILE]                 on a CPU: small models, a few minutes of one core
    python benchmarks/memory.py --gpu [--out FILE]           on a GPU: Qwen3-4B and 8B, QLoRA at 2k, 4k and 8k tokens

Models of Qwen3's architecture with random weights are saved, loaded as `kb train` loads them, and trained by its own
trainer for one step, each in a process of its own. On a CPU memory is what the kernel counts for the process (VmRSS,
and VmHWM at the peak), less what it was before the model was loaded and after a first step of a tiny model, in which
the libraries set themselves up; allocations from 128 KiB on go back to the kernel when they are freed. On a GPU it is
what torch has allocated. Components:

    weights   growth by loading the base
    trained   growth from there to after the first step: the adapter and both moments, its gradients gone
    working   growth at the peak of one forward and backward, less the adapter's gradients: activations, casts, loss
    loss      the same of TRL's tiled loss alone, on as many hidden states
    peak      of it all, with the optimiser's step

The GPU part has not been run by this project yet; it also gives tokens a second and the share of the card's peak.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import PrinterCallback, Qwen3Config, Qwen3ForCausalLM, TrainerCallback
from trl import SFTConfig, SFTTrainer
from trl.kernels import ChunkedLogProbFunction
from trl.trainer.utils import _CHUNKED_LOGPROB_CHUNK_SIZE

from kb.finetune.cards import GIB, Card, found_card
from kb.finetune.config import TrainConfig
from kb.finetune.memory import (
    GRADIENT_BYTES,
    TRAINED_BYTES,
    MemoryEstimate,
    ModelShape,
    Step,
    estimate,
    model_shape,
)
from kb.finetune.model import adapters_to_fp32, lora, trainable_base
from kb.finetune.rehearsal import measure, peak_growth, resident
from kb.finetune.speed import batch_flops
from kb.finetune.training import one_gpu, shared_arguments
from kb.llm.open import lab_folder
from kb.llm.weights import load_tokenizer
from kb.offline import switch_off_telemetry
from kb.workspace import write_text

RANK = 64
WARMED = 3
"""Steps on a GPU, of which the last is timed."""


@dataclass(frozen=True)
class Case:
    """A model, and how it is trained."""

    name: str
    layers: int
    hidden: int
    feed_forward: int
    heads: int
    key_heads: int
    head: int
    vocabulary: int
    tied: bool
    tokens: int
    """In one row."""
    checkpointing: bool
    load_in_4bit: bool

    def config(self) -> Qwen3Config:
        """For transformers."""
        return Qwen3Config(
            vocab_size=self.vocabulary, hidden_size=self.hidden, intermediate_size=self.feed_forward,
            num_hidden_layers=self.layers, num_attention_heads=self.heads, num_key_value_heads=self.key_heads,
            head_dim=self.head, max_position_embeddings=40960, tie_word_embeddings=self.tied, pad_token_id=0,
            eos_token_id=2, bos_token_id=None,
        )  # fmt: skip

    @property
    def shape(self) -> ModelShape:
        """For the estimate."""
        shape = model_shape(self.config())
        assert shape is not None
        return shape


SMALL = {
    "small": (4, 256, 768, 4, 2, 64, 8192, True),
    "medium": (8, 512, 1536, 8, 4, 64, 16384, True),
    "large": (12, 768, 2304, 12, 4, 64, 32768, False),
}
"""Layers, width, feed-forward width, heads, key heads, width of a head, vocabulary, whether embeddings are tied."""
LENGTHS = {"small": (256, 1024), "medium": (1024,), "large": (512,)}
REAL = {
    "Qwen3-4B": (36, 2560, 9728, 32, 8, 128, 151936, True),
    "Qwen3-8B": (36, 4096, 12288, 32, 8, 128, 151936, False),
}


def cases(gpu: bool) -> list[Case]:
    """What is measured on a device of this kind."""
    if gpu:
        return [Case(name, *sizes, tokens, True, True) for name, sizes in REAL.items() for tokens in (2048, 4096, 8192)]
    return [
        Case(name, *sizes, tokens, checkpointing, four_bit)
        for name, sizes in SMALL.items()
        for tokens in LENGTHS[name]
        for checkpointing in (False, True)
        for four_bit in (False, True)
    ]


@dataclass(frozen=True)
class Found:
    """What was measured of a case, in GiB."""

    weights: float
    trained: float
    working: float
    loss: float
    peak: float
    seconds: float
    """Of one forward and backward."""


def expected(case: Case, card: Card) -> MemoryEstimate:
    """What the estimate says of it."""
    trained = case.shape.adapter(RANK)
    return estimate(
        case.shape,
        Step(
            case.tokens,
            case.checkpointing,
            trained,
            load_in_4bit=case.load_in_4bit,
            compute_bytes=card.number_bytes,
            cpu=card.cpu,
        ),
    )


def settled() -> int:
    """Bytes in use now: of the process, or on the GPU."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        return torch.cuda.memory_allocated()
    return resident("VmRSS")


def save(case: Case, folder: Path) -> None:
    """The case's model with random weights."""
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_default_dtype(torch.bfloat16 if device == "cuda" else torch.float32)
    with torch.device(device):
        model = Qwen3ForCausalLM(case.config())
    model.save_pretrained(folder)
    torch.set_default_dtype(torch.float32)
    write_text(folder / "generation_config.json", "{}")


class Watcher(TrainerCallback):  # type: ignore[misc]
    """One real step before training, and what lies in memory after the first."""

    def __init__(self, trainer: Any, rounds: int) -> None:
        self.trainer, self.rounds = trainer, rounds
        self.growth = self.seconds = 0.0
        self.after = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The model is prepared, nothing is trained."""
        for _ in range(self.rounds):
            made = measure(self.trainer, [self.trainer.train_dataset[0]])
            self.growth, self.seconds = max(self.growth, made.gib or 0.0), made.seconds

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Gradients are gone, the moments are there."""
        self.after = settled()


def train(model: Any, case: Case, folder: Path, rounds: int) -> Watcher:
    """One step of one row by the trainer of `kb train`."""
    config = TrainConfig(rank=RANK, batch_size=1, micro_batch=1, gradient_checkpointing=case.checkpointing, warmup=0.0)
    row = [number % 1000 + 3 for number in range(case.tokens)]
    trainer = SFTTrainer(
        model=model,
        args=one_gpu(SFTConfig(**shared_arguments(config, 1, 1, 1e-4, folder) | {"save_strategy": "no"})),
        train_dataset=Dataset.from_list([{"input_ids": row, "labels": row}]),
        processing_class=load_tokenizer(lab_folder()),
        peft_config=lora(config),
    )
    trainer.remove_callback(PrinterCallback)
    adapters_to_fp32(trainer.model)
    watcher = Watcher(trainer, rounds)
    trainer.add_callback(watcher)
    trainer.train()
    return watcher


def loss_alone(case: Case) -> float:
    """GiB at the peak of TRL's loss, forward and backward, on hidden states of the case's tokens."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    hidden = torch.randn(case.tokens, case.hidden, device=device, dtype=dtype, requires_grad=True)
    weight = torch.randn(case.vocabulary, case.hidden, device=device, dtype=dtype)
    targets = torch.zeros(case.tokens, device=device, dtype=torch.long)
    fields = ("entropy", "is_top1")
    with peak_growth() as grown:
        made = ChunkedLogProbFunction.apply(
            hidden, weight, None, targets, 1.0, _CHUNKED_LOGPROB_CHUNK_SIZE, None, 1.0, fields
        )
        made[0].sum().backward()
    return grown[0]


def measured(case: Case, folder: Path) -> Found:
    """Load it from a folder and train it in this process, which has done nothing else."""
    with tempfile.TemporaryDirectory() as place:
        tiny = Case("tiny", 1, 64, 64, 1, 1, 64, 1024, True, 64, False, case.load_in_4bit)
        save(tiny, Path(place) / "tiny")
        train(trainable_base(Path(place) / "tiny", case.load_in_4bit, TrainConfig()), tiny, Path(place), 1)
        before = settled()
        model = trainable_base(folder, case.load_in_4bit, TrainConfig())
        for parameter in model.parameters():
            # Away from the file that is mapped, all of whose pages would count.
            parameter.data = parameter.data.clone()
        weights = settled() - before
        # The real step within counts its own peak anew; what is left for this one is the first step of the training.
        with peak_growth() as grown:
            watcher = train(model, case, Path(place), WARMED if torch.cuda.is_available() else 1)
        gradients = GRADIENT_BYTES * case.shape.adapter(RANK) / GIB
        return Found(
            weights / GIB, (watcher.after - before - weights) / GIB, watcher.growth - gradients, loss_alone(case),
            weights / GIB + grown[0], watcher.seconds,
        )  # fmt: skip


def main() -> None:
    """Measure every case and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    switch_off_telemetry()
    logging.basicConfig(level=logging.WARNING)
    if options.case:
        print(json.dumps(asdict(measured(Case(**json.loads(options.case[0])), Path(options.case[1])))))
    elif options.gpu and not torch.cuda.is_available():
        sys.exit("no GPU that torch can use")
    else:
        page = report(options.gpu)
        write_text(options.out, "\n".join(page) + "\n") if options.out else print("\n".join(page))


COMPONENTS = ("weights", "trained", "working", "loss", "peak")


def parts(case: Case, card: Card) -> dict[str, float]:
    """The estimate in the components that are measured."""
    made = expected(case, card)
    steady = (TRAINED_BYTES - GRADIENT_BYTES) / TRAINED_BYTES
    return {
        "weights": made.weights, "trained": made.trained * steady, "working": made.working, "loss": made.loss,
        "peak": made.total - made.overhead,
    }  # fmt: skip


def all_found(gpu: bool) -> Iterator[tuple[Case, Found]]:
    """Every case with what was measured."""
    with tempfile.TemporaryDirectory() as place:
        for case in cases(gpu):
            yield case, alone(case, Path(place) / case.name)


def report(gpu: bool) -> list[str]:
    """The page."""
    card = found_card()
    rows: list[str] = []
    errors: dict[str, list[float]] = {name: [] for name in COMPONENTS}
    for case, found in all_found(gpu):
        said = parts(case, card)
        for name in COMPONENTS:
            errors[name].append(said[name] / getattr(found, name) - 1)
        way = f"{'NF4' if case.load_in_4bit else 'whole'}{', checkpointing' if case.checkpointing else ''}"
        cells = [f"{said[name] * 1024:.0f} / {getattr(found, name) * 1024:.0f}" for name in COMPONENTS]
        flops = batch_flops(case.shape, [(1, case.tokens)], case.tokens, case.checkpointing) / found.seconds
        speed = [f"{case.tokens / found.seconds:.0f}", f"{flops / card.tflops / 1e12:.1%}"] if gpu else []
        cells = [case.name, str(case.tokens), way, *cells, f"{errors['peak'][-1]:+.0%}", *speed]
        rows.append(f"| {' | '.join(cells)} |")
        print(rows[-1], file=sys.stderr)
    names = ["model", "tokens", "way", *COMPONENTS, "error of the peak", *(["tokens/s", "MFU"] if gpu else [])]
    head = [f"| {' | '.join(names)} |", "|" + " --- |" * len(names)]
    return [*opening(card.name, gpu), *head, *rows, "", *closing(errors)]


def opening(device: str, gpu: bool) -> list[str]:
    """What the page says of how it was made."""
    flag = " --gpu" if gpu else ""
    return [
        "# Estimated against measured memory of a training step", "",
        f"Made by `python benchmarks/memory.py{flag}` on {device}, torch {torch.__version__}. MiB, estimated /"
        f" measured; LoRA of rank {RANK} on all matrices, one row of the given tokens. What each column is and how it"
        " was measured stands at the head of that file.", "",
    ]  # fmt: skip


NOTE = (
    "Below 0 the estimate is too low. It adds the loss and the layer that is computed again, whose peaks do not meet:"
    " with checkpointing, working memory is little more than the loss here. All rows are alone in their micro-batch,"
    " without padding; what padding masks add on a CPU is not in these figures."
)


def closing(errors: dict[str, list[float]]) -> list[str]:
    """The error of each component over all cases."""
    lines = ["| component | mean error | mean of its size | lowest | highest |", "|" + " --- |" * 5]
    for name, found in errors.items():
        mean, size = sum(found) / len(found), sum(map(abs, found)) / len(found)
        lines.append(f"| {name} | {mean:+.0%} | {size:.0%} | {min(found):+.0%} | {max(found):+.0%} |")
    return [*lines, "", NOTE]


def alone(case: Case, folder: Path) -> Found:
    """A case in a process of its own, the model in a folder; that is made for the first case of the model."""
    if not folder.exists():
        save(case, folder)
        settled()
    env = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
    words = [sys.executable, __file__, "--case", json.dumps(asdict(case)), str(folder)]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{case}: {done.stderr[-3000:]}")
    return Found(**json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
