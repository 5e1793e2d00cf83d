"""Useful tokens per second and peak memory of SFT: kb, TRL as it comes, and LLaMA-Factory in an environment of its own.

    python benchmarks/throughput.py [--llama-factory VENV] [--rounds 3] [--rows 480] [--out FILE]

All train LoRA on a small Qwen3 with random weights, one epoch of the same tokenised rows (of the lab model's replay:
short questions beside long passages, half of them Chinese) under the same settings; what differs is how rows become
batches and what the loss costs. kb picks how many rows are in memory at once, as packing does; so that not this alone
is compared, it is also measured with all rows of a step at once, like the trainers that do not pack. A useful token is
one that bears loss. Each trainer runs in a process of its own, in turns, and the time is the processor's for its
training loop, without imports, loading and tokenising: one thread, so that is what a machine without other work takes.
Memory is the process's peak.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kb.finetune.batches import Example
from kb.finetune.cards import found_card
from kb.finetune.config import TrainConfig
from kb.finetune.memory import TRAINED_BYTES, model_shape
from kb.finetune.room import Room, described, keep_room
from kb.finetune.sizes import Calibration, Sizes, pick_room
from kb.offline import switch_off_telemetry
from kb.workspace import write_text

RANK, RATE, BATCH, SEED = 16, 2e-4, 16, 0
ARMS = {
    "kb": "kb, as it plans",
    "kb_whole": "kb, all rows of a step at once",
    "trl": "TRL 1.16, its own order",
    "trl_packed": "TRL 1.16, packing (bfd)",
    "trl_padding_free": "TRL 1.16, padding-free",
    "llama_factory": "LLaMA-Factory 0.9.5",
}
PACKED = 512
"""Tokens of a packed row: longer than the longest of the rows, so that packing drops none."""


@dataclass(frozen=True)
class Measured:
    """What one training took."""

    seconds: float
    """Of the processor, for the training loop."""
    trained: int
    """Tokens that bear loss, over all steps."""
    peak: int
    """Bytes of the process, at its most."""

    @property
    def rate(self) -> float:
        """Useful tokens per second."""
        return self.trained / self.seconds


def examples_of_replay(count: int) -> list[Example]:
    """So many of the lab model's replay rows, in tokens."""
    import random

    from kb.finetune.batches import encode
    from kb.finetune.model import stop_tokens
    from kb.finetune.replay_file import replay_rows
    from kb.llm.open import lab_folder
    from kb.llm.weights import load_tokenizer

    rows = replay_rows(lab_folder() / "replay.jsonl", count, random.Random(SEED))
    tokenizer = load_tokenizer(lab_folder())
    return encode(rows, tokenizer, stop_tokens(lab_folder(), tokenizer), PACKED)


def save_base(folder: Path) -> None:
    """A Qwen3 of four layers, 192 wide, with random weights and a vocabulary of 8,192."""
    import torch
    from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

    from kb.llm.open import lab_folder
    from kb.llm.weights import load_tokenizer

    torch.manual_seed(SEED)
    tokenizer = load_tokenizer(lab_folder())
    config = Qwen3Config(
        vocab_size=8192, hidden_size=192, intermediate_size=512, num_hidden_layers=4, num_attention_heads=3,
        num_key_value_heads=3, head_dim=64, max_position_embeddings=2048, tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model = Qwen3ForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def timed(train: Callable[[], Any]) -> float:
    """Seconds of the processor for the trainer's own loop in what `train` does."""
    from transformers import Trainer

    taken: list[float] = []
    whole = Trainer.train

    def watched(self: Any, *args: Any, **options: Any) -> Any:
        began = time.process_time()
        done = whole(self, *args, **options)
        taken.append(time.process_time() - began)
        return done

    Trainer.train = watched
    train()
    return taken[0]


def planned_room(base: Path, examples: Sequence[Example]) -> Room:
    """How many rows kb's plan has together and at once, without checkpointing as all trainers here."""
    from kb.finetune.model import model_config

    shape, card = model_shape(model_config(base)), found_card()
    assert shape is not None
    sizes = Sizes(
        shape, shape.adapter(RANK), False, TRAINED_BYTES, False, card.number_bytes, card.cpu, len(examples),
        max(len(example.input_ids) for example in examples), 0, max(example.trained for example in examples),
    )  # fmt: skip
    config = TrainConfig(rank=RANK, batch_size=BATCH, gradient_checkpointing=False)
    return pick_room(config, sizes, card.gib, Calibration())


def by_kb(base: Path, examples: Sequence[Example], out: Path, room: Room) -> tuple[float, int]:
    """Kb's SFT; seconds and trained tokens."""
    from kb.finetune.model import trainable_base
    from kb.finetune.sft import train_sft
    from kb.llm.weights import load_tokenizer

    config = TrainConfig(
        stages=("sft",), rank=RANK, alpha=RANK, learning_rate=RATE, epochs=1.0, batch_size=BATCH,
        micro_batch=room.order, gradient_checkpointing=room.checkpointing, checkpoints=1, seed=SEED, watch=False,
    )  # fmt: skip
    keep_room(out / "sft", room)
    model, tokenizer = trainable_base(base, False, config), load_tokenizer(base)
    seconds = timed(lambda: train_sft(model, tokenizer, examples, config, out / "sft"))
    return seconds, sum(example.trained for example in examples)


def by_trl(base: Path, examples: Sequence[Example], out: Path, **options: Any) -> tuple[float, int]:
    """TRL's SFTTrainer with nothing set that is not a setting of all; seconds and trained tokens."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from kb.finetune.model import lora, trainable_base
    from kb.llm.weights import load_tokenizer

    rows = Dataset.from_list([{"input_ids": list(e.input_ids), "labels": list(e.labels)} for e in examples])
    packed, config = options.get("packing", False), TrainConfig(rank=RANK, alpha=RANK)
    arguments = SFTConfig(
        output_dir=str(out), seed=SEED, per_device_train_batch_size=1 if packed else BATCH, num_train_epochs=1,
        learning_rate=RATE, lr_scheduler_type="cosine", gradient_checkpointing=False, bf16=False, use_cpu=True,
        save_strategy="no", report_to="none", disable_tqdm=True, dataloader_pin_memory=False, **options,
    )  # fmt: skip
    trainer = SFTTrainer(
        model=trainable_base(base, False, config), args=arguments, train_dataset=rows,
        processing_class=load_tokenizer(base), peft_config=lora(config),
    )  # fmt: skip
    trained = 0
    count = trainer.compute_loss

    def counting(model: Any, inputs: Any, **more: Any) -> Any:
        nonlocal trained
        trained += int((inputs["labels"] != -100).sum())
        return count(model, inputs, **more)

    trainer.compute_loss = counting
    seconds = timed(lambda: trainer.train())
    return seconds, trained


OPTIONS: dict[str, dict[str, Any]] = {
    "trl": {},
    "trl_packed": {"packing": True, "max_length": PACKED * 2},
    "trl_padding_free": {"padding_free": True, "max_length": None},
}


def child(arm: str, folder: Path, rows: int) -> None:
    """One training in this process; prints what it took."""
    import torch

    torch.set_num_threads(1)
    examples, base, out = examples_of_replay(rows), folder / "base", folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    if arm in ("kb", "kb_whole"):
        room = planned_room(base, examples) if arm == "kb" else Room(BATCH, BATCH, False)
        seconds, trained = by_kb(base, examples, out, room)
    else:
        seconds, trained = by_trl(base, examples, out, **OPTIONS[arm])
    print(json.dumps({"seconds": seconds, "trained": trained}))


def llama_factory_yaml(folder: Path) -> Path:
    """The same training for LLaMA-Factory: the same tokens from disk, the same settings."""
    settings = {
        "model_name_or_path": str(folder / "base"), "stage": "sft", "do_train": True, "finetuning_type": "lora",
        "lora_rank": RANK, "lora_alpha": RANK, "lora_dropout": 0.0, "lora_target": "all", "template": "empty",
        "dataset": "rows", "dataset_dir": str(folder), "tokenized_path": str(folder / "tokens"), "cutoff_len": 2048,
        "output_dir": str(folder / "out-lf"), "per_device_train_batch_size": BATCH, "gradient_accumulation_steps": 1,
        "learning_rate": RATE, "lr_scheduler_type": "cosine", "num_train_epochs": 1, "save_strategy": "no",
        "logging_steps": 10, "report_to": "none", "bf16": False, "fp16": False, "use_cpu": True, "seed": SEED,
        "disable_gradient_checkpointing": True, "flash_attn": "sdpa", "overwrite_output_dir": True,
        "dataloader_pin_memory": False,
    }  # fmt: skip
    file = folder / "sft.yaml"
    write_text(file, json.dumps(settings))
    return file


def save_tokens(folder: Path, count: int) -> None:
    """The tokenised rows as `datasets` saves them, for LLaMA-Factory's `tokenized_path`."""
    from datasets import Dataset, DatasetDict

    rows = [
        {"input_ids": list(e.input_ids), "attention_mask": [1] * len(e.input_ids), "labels": list(e.labels),
         "images": None, "videos": None, "audios": None}
        for e in examples_of_replay(count)
    ]  # fmt: skip
    DatasetDict({"train": Dataset.from_list(rows)}).save_to_disk(str(folder / "tokens"))


def measure(command: list[str], folder: Path, log: Path) -> tuple[str, int]:
    """Run a training to its end: what it printed, and the bytes that its process held at most."""
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT, env=environment())
        _, status, used = os.wait4(process.pid, 0)
    text = log.read_text(encoding="utf-8", errors="replace")
    if status:
        sys.exit(f"{' '.join(command)} failed:\n{text[-2000:]}")
    return text, used.ru_maxrss * 1024


def environment() -> dict[str, str]:
    """One thread, no network."""
    return os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "DISABLE_VERSION_CHECK": "1"}


def one(arm: str, folder: Path, rows: int, venv: Path | None) -> Measured:
    """One training of one arm."""
    log = folder / f"{arm}.log"
    if arm != "llama_factory":
        words = [sys.executable, __file__, "--child", arm, "--folder", str(folder), "--rows", str(rows)]
        text, peak = measure(words, folder, log)
        found = json.loads(text.splitlines()[-1])
        return Measured(found["seconds"], found["trained"], peak)
    assert venv is not None
    counted = folder / "counted.json"
    words = [str(venv / "bin" / "python"), str(Path(__file__).with_name("throughput_peer.py")),
             str(llama_factory_yaml(folder)), str(counted)]  # fmt: skip
    _, peak = measure(words, folder, log)
    return Measured(**json.loads(counted.read_text(encoding="utf-8")), peak=peak)


def page(found: dict[str, list[Measured]], rows: int, room: Room) -> str:
    """The measurements as Markdown, ratios to the better of the peers; `room` is what kb planned."""
    peers = [statistics.median(one.rate for one in runs) for arm, runs in found.items() if not arm.startswith("kb")]
    best = max(peers)
    lines = [
        "# Useful tokens per second and peak memory of SFT",
        "",
        f"`python benchmarks/throughput.py --rounds {len(found['kb'])} --rows {rows}` on one CPU thread: LoRA of"
        f" rank {RANK} on a random Qwen3 (4 layers, width 192, vocabulary 8,192), fp32, {BATCH} rows a step, without"
        " checkpointing, one epoch of the lab model's replay rows. Medians of the rounds, each trainer in turn; a"
        " useful token bears loss. The time is the processor's for the training loop alone: the machine has other work."
        " Peak memory is the whole process's, libraries included.",
        "",
        f"kb plans {described(room, BATCH)}, of {room.order} rows of like length. It computes logits where a token is"
        " trained, as TRL does on a GPU alone, and does not pack.",
        "",
        "| trainer | useful tokens/s | against the best peer | by round | peak GiB |",
        "|---|---|---|---|---|",
    ]
    for arm, runs in found.items():
        rate, peak = statistics.median(one.rate for one in runs), statistics.median(one.peak for one in runs)
        rounds = ", ".join(f"{one.rate:.0f}" for one in runs)
        lines.append(f"| {ARMS[arm]} | {rate:.0f} | {rate / best:.2f} | {rounds} | {peak / (1 << 30):.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-factory", type=Path, help="virtual environment in which LLaMA-Factory is installed")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=480)
    parser.add_argument("--out", type=Path, help="write the page to this file, after each round")
    parser.add_argument("--child", choices=list(ARMS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    switch_off_telemetry()
    if given.child:
        child(given.child, given.folder, given.rows)
        return
    folder = Path(tempfile.mkdtemp(prefix="kb-throughput-"))
    save_base(folder / "base")
    save_tokens(folder, given.rows)
    arms = [arm for arm in ARMS if arm != "llama_factory" or given.llama_factory]
    found: dict[str, list[Measured]] = {arm: [] for arm in arms}
    room = planned_room(folder / "base", examples_of_replay(given.rows))
    for number in range(given.rounds):
        for arm in arms if number % 2 == 0 else reversed(arms):
            found[arm].append(one(arm, folder, given.rows, given.llama_factory))
            print(f"round {number + 1} {arm}: {found[arm][-1].rate:.0f} useful tokens/s", file=sys.stderr, flush=True)
        text = page(found, given.rows, room)
        # Also of the first rounds alone: all of them take long.
        write_text(given.out, text) if given.out else print(text)


if __name__ == "__main__":
    main()
