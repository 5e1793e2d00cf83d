"""The lab model's recipe: `python -m kb.corpora.lab_train --out DIR` trains it from scratch on CPU.

Not a user's trainer (that is `kb train`, on TRL): a from-scratch pretraining of a few million parameters that must be
repeatable on two CPU cores. bf16 weights with an fp32 master copy run several times faster there than autocast, logits
are taken at answer positions only, and the forward weights pass through NF4 towards the end, so that the model loses
little when `kb train` loads it in 4 bits. Muon (torch.optim) drives the matrices, AdamW the rest. Each core has a
process with its own batches, and gradients are averaged: two threads in one process hardly help tensors this small.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import bitsandbytes.functional as bnb
import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import spawn
from tqdm import tqdm
from transformers import Qwen3Config, Qwen3ForCausalLM

from kb.corpora import lab_tasks as tasks
from kb.corpora.lab_ladder import LADDER, Climb
from kb.corpora.lab_measure import measure
from kb.corpora.lab_tokenizer import END, START, build


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the checkpoint, with the seed."""

    seed: int = 0
    hidden: int = 192
    layers: int = 4
    heads: int = 3
    head_dim: int = 64
    feed_forward: int = 512
    embed_std: float = 0.08
    """Spread of the initial embeddings: with tied embeddings, rare words are only copied when theirs are not tiny."""
    tokens: float = 50e6
    """Padded tokens seen in training, by all processes."""
    batch_tokens: int = 3072
    """Padded tokens of a step in each process."""
    lr_matrix: float = 0.005
    lr_other: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.01
    master: float = 0.88
    """Share of reading answers begun right, of the last thousands, from which the next level of the ladder is due."""
    level_share: float = 0.35
    """The next level is due in any case after this share of the tokens."""
    quantise_from: float = 0.75
    processes: int = 2
    level: int = 0
    """The level of the ladder to begin with."""
    init: str = ""
    """A checkpoint of this shape to go on from, instead of random weights."""


WIDTH_STEP = 32
MIX = {
    "reading": 0.52, "recall": 0.08, "abstain": 0.07, "facts": 0.12, "questions": 0.06, "probes": 0.06,
    "near_miss": 0.04, "unanswerable": 0.05,
}  # fmt: skip


EASY_MIX = MIX | {"reading": 1.0, "questions": 0.1, "probes": 0.14, "near_miss": 0.08}
"""Where passages are short, more rewording too: its answers repeat names, and copying is learnt there."""
EASY_LEVELS = (0, 2, 3)
REHEARSAL = 0.25


def prompt_texts() -> list[str]:
    """The lab prompts without their places, for the tokenizer's vocabulary."""
    # A prompt that stands in for two of kb's own is one text.
    texts = list(dict.fromkeys(path.read_text(encoding="utf-8") for path in sorted(tasks.PROMPTS.glob("*.txt"))))
    return [
        *texts,
        *tasks.UNKNOWN.values(),
        *tasks.NONE.values(),
        *(tag for tags in tasks.TAGS.values() for tag in tags),
    ]


def encode(tokenizer: Any, turns: list[tasks.Turn]) -> tuple[list[int], list[float]]:
    """Token ids of a chat in the chat template, and how much each counts in the loss (see `Batch`)."""
    head = tokenizer.convert_tokens_to_ids([START, "user", "\n"])
    lead = tokenizer.convert_tokens_to_ids([END, "\n", START, "assistant", "\n"])
    tail = tokenizer.convert_tokens_to_ids([END, "\n"])
    ids: list[int] = []
    weights: list[float] = []
    for user, answer in turns:
        asked = head + tokenizer.encode(user, add_special_tokens=False) + lead
        given = tokenizer.encode(answer, add_special_tokens=False)
        ids += asked + given + tail
        answer_tokens = len(given) + 1
        weights += [0.0] * len(asked) + [answer_tokens**-0.5] * answer_tokens + [0.0]
    return ids, weights


@dataclass(frozen=True)
class Batch:
    """Padded chats; all three are (batch, tokens)."""

    ids: torch.Tensor
    weight: torch.Tensor
    """How much a token counts in the loss: nothing outside answers, in an answer of n tokens 1/sqrt(n).

    Counted alike, the many tokens of fact lines and wordings drown the one that tells whose value is meant.
    """
    begins: torch.Tensor
    """Which of these begin an answer to a reading question."""


def batches(tokenizer: Any, rng: random.Random, level: int, budget: int) -> Iterator[Batch]:
    """Batches of at most `budget` padded tokens, cut from hundreds of length-sorted samples."""
    mix = EASY_MIX if level in EASY_LEVELS else MIX
    while True:
        drawn = [tasks.draw(rng, mix, LADDER[rehearsed(rng, level)]) for _ in range(600)]
        pool = sorted(((*encode(tokenizer, turns), task) for task, turns in drawn), key=lambda s: len(s[0]))
        cut = []
        while pool:
            width = -(-len(pool[-1][0]) // WIDTH_STEP) * WIDTH_STEP
            size = max(1, budget // width)
            cut.append(pool[-size:])
            del pool[-size:]
        rng.shuffle(cut)
        for rows in cut:
            # Few distinct widths: the CPU kernels are prepared once for each shape, and kept.
            width = -(-max(len(ids) for ids, _, _ in rows) // WIDTH_STEP) * WIDTH_STEP
            ids = torch.zeros(len(rows), width, dtype=torch.long)
            weight = torch.zeros(len(rows), width)
            reads = torch.tensor([task == "reading" for _, _, task in rows])
            for i, (row, weights, _) in enumerate(rows):
                ids[i, : len(row)] = torch.tensor(row)
                weight[i, : len(row)] = torch.tensor(weights)
            learn = weight > 0
            begins = learn & ~learn.roll(1, dims=1) & reads[:, None]
            yield Batch(ids, weight, begins)


def rehearsed(rng: random.Random, level: int) -> int:
    """The level of a sample: now and then one below, so that what was learnt there is not lost."""
    return rng.randrange(level) if level and rng.random() < REHEARSAL else level


def loss_of(model: Any, batch: Batch) -> tuple[torch.Tensor, int, int]:
    """Weighted mean next-token cross entropy, reading answers begun right, and all that begin.

    Padding is on the right and needs no mask.
    """
    hidden = model.model(input_ids=batch.ids, use_cache=False).last_hidden_state[:, :-1]
    target = batch.weight[:, 1:] > 0
    logits, gold = model.lm_head(hidden[target]).float(), batch.ids[:, 1:][target]
    begins = batch.begins[:, 1:][target]
    right = (logits.argmax(-1) == gold)[begins]
    weight = batch.weight[:, 1:][target]
    loss = torch.nn.functional.cross_entropy(logits, gold, reduction="none") @ weight / weight.sum()
    return loss, int(right.sum()), len(right)


def through_nf4(weight: torch.Tensor) -> torch.Tensor:
    """The weight as a 4-bit load would see it (NF4, double quantisation)."""
    packed, state = bnb.quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
    return bnb.dequantize_4bit(packed, state)


def average(weights: dict[str, torch.Tensor], masters: dict[str, torch.Tensor], counts: tuple[int, ...]) -> list[int]:
    """Give the masters the gradients of the weights, averaged over the processes; returns the summed counts."""
    flat = torch.cat(
        [*(p.grad.flatten().float() for p in weights.values() if p.grad is not None), torch.tensor(counts)]
    )
    dist.all_reduce(flat)
    parts = flat[: -len(counts)].div_(dist.get_world_size()).split([p.numel() for p in weights.values()])
    for (name, p), part in zip(weights.items(), parts, strict=True):
        masters[name].grad, p.grad = part.view_as(p), None
    return [int(count) for count in flat[-len(counts) :]]


def new_model(recipe: Recipe, tokenizer: Any) -> Any:
    """A randomly initialised model of the recipe's shape, in fp32."""
    config = Qwen3Config(
        vocab_size=-(-len(tokenizer) // 64) * 64, hidden_size=recipe.hidden, num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads, num_key_value_heads=recipe.heads, head_dim=recipe.head_dim,
        intermediate_size=recipe.feed_forward, max_position_embeddings=2048, tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, bos_token_id=None,
    )  # fmt: skip
    model: Any = Qwen3ForCausalLM(config)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    torch.nn.init.normal_(model.get_input_embeddings().weight, std=recipe.embed_std)
    return model


def train(rank: int, recipe: Recipe, out: Path, measure_minutes: float, count: int) -> None:
    """One process of `run`."""
    dist.init_process_group("gloo", rank=rank, world_size=recipe.processes)
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    tokenizer = build(prompt_texts())
    model: Any = (
        Qwen3ForCausalLM.from_pretrained(recipe.init, dtype=torch.float32)
        if recipe.init
        else new_model(recipe, tokenizer)
    )
    masters = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    matrices = {name for name, p in masters.items() if p.ndim == 2 and "embed" not in name}
    model.to(dtype=torch.bfloat16)
    weights = dict(model.named_parameters())
    muon = torch.optim.Muon(
        [masters[n] for n in matrices], lr=recipe.lr_matrix, weight_decay=recipe.weight_decay, momentum=0.95
    )
    adam = torch.optim.AdamW(
        [p for n, p in masters.items() if n not in matrices], lr=recipe.lr_other, betas=(0.9, 0.98), weight_decay=0.0
    )
    rng = random.Random(f"{recipe.seed}/{rank}")
    levels = [batches(tokenizer, rng, level, recipe.batch_tokens) for level in range(len(LADDER))]
    climb = Climb(recipe.master, recipe.level_share * recipe.tokens, recipe.level)
    bar = tqdm(total=recipe.tokens, unit=" tokens", unit_scale=True, disable=rank > 0, mininterval=5, desc="lab model")
    seen, step, began, measured, losses = 0, 0, time.time(), time.time(), []
    while seen < recipe.tokens:
        share = seen / recipe.tokens
        batch = next(levels[climb.level])
        pace = min(1.0, share / recipe.warmup) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))
        for optimizer, top in ((muon, recipe.lr_matrix), (adam, recipe.lr_other)):
            for group in optimizer.param_groups:
                group["lr"] = top * pace
        loss, right, asked = loss_of(model, batch)
        loss.backward()
        tokens, right, asked = average(weights, masters, (batch.ids.numel(), right, asked))
        climb.add(tokens, right, asked)
        seen, step = seen + tokens, step + 1
        bar.update(tokens)
        bar.set_postfix_str(f"level {climb.level}, reading {climb.accuracy:.2f}, loss {loss:.3f}", refresh=False)
        torch.nn.utils.clip_grad_norm_(masters.values(), 1.0)
        muon.step()
        adam.step()
        with torch.no_grad():
            for name, p in weights.items():
                fresh = masters[name]
                p.copy_(through_nf4(fresh) if share >= recipe.quantise_from and name in matrices else fresh)
        losses.append(loss.item())
        if rank == 0 and (time.time() - measured > 60 * measure_minutes or seen >= recipe.tokens):
            save(model, masters, tokenizer, out)
            row: dict[str, Any] = {
                "step": step, "Mtokens": round(seen / 1e6, 2), "seconds": round(time.time() - began),
                "loss": round(sum(losses) / len(losses), 4), "level": climb.level,
            }  # fmt: skip
            row |= measure(model, tokenizer, count)
            with (out / "curve.jsonl").open("a") as file:
                file.write(json.dumps(row) + "\n")
            model.train()
            losses, measured = [], time.time()


def run(recipe: Recipe, out: Path, measure_minutes: float = 15, count: int = 200) -> None:
    """Train and save to `out`; the curve goes to `out`/curve.jsonl, the recipe to `out`/recipe.json.

    `count` is the number of questions of a kind by which each point of the curve is measured.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / "recipe.json").write_text(json.dumps(asdict(recipe), indent=1) + "\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    spawn(train, (recipe, out, measure_minutes, count), recipe.processes)  # type: ignore[no-untyped-call]


def save(model: Any, masters: dict[str, torch.Tensor], tokenizer: Any, out: Path) -> None:
    """Write the checkpoint with the master weights rounded to bf16 (a 4-bit load quantises them itself)."""
    state = {name: p.detach().to(torch.bfloat16) for name, p in masters.items()}
    model.save_pretrained(out, state_dict=state)
    tokenizer.save_pretrained(out)


def main() -> None:
    """Command line: every field of `Recipe` is a flag."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--measure-minutes", type=float, default=15)
    for name, value in asdict(Recipe()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    given = vars(parser.parse_args())
    out, minutes = given.pop("out"), given.pop("measure_minutes")
    run(replace(Recipe(), **given), out, minutes)


if __name__ == "__main__":
    main()
