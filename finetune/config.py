"""The `[train]` section of kb.toml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kb.errors import ConfigError, UsageError
from kb.finetune.stages import REWARD, SHARPENING, VERIFIED, check_stages
from kb.runs import nameable


@dataclass(frozen=True)
class TrainConfig:
    """What decides a training run. Defaults are for a 4 to 8 B model on one 24 GB card.

    Raises ConfigError when a value cannot mean anything.
    """

    stages: tuple[str, ...] = ("sft", "dpo")
    """`sft`, which teaches, or in its place `distil`, which teaches the model to answer as it does itself when it reads
    the passages; then at most one of `dpo`, `kto`, `grpo`, `rloo`, `orpo` and `simpo`, which sharpen what was taught
    and teach nothing new; then, if wanted, `reward`, which trains a reward model beside the run's adapter.
    """
    experimental: bool = False
    """Allow the stages that are in TRL's experimental set: `orpo` and `simpo`."""
    name: str = ""
    """Name of the run; empty: made from a hash of data, settings and base model."""
    seed: int = 0
    tuning: Literal["lora", "full", "prompt", "prefix"] = "lora"
    """What is trained: low-rank matrices beside every linear layer (QLoRA where [model] load_in_4bit), all weights,
    or vectors before the prompt (`prompt`: as its embeddings; `prefix`: as keys and values of every layer).
    """
    rank: int = 64
    """LoRA rank; recall needs capacity above the information in the data."""
    alpha: int = 64
    """LoRA alpha; the update is scaled by alpha / rank."""
    rslora: bool = False
    """Scale by alpha / sqrt(rank) instead (arXiv 2312.03732): more is learnt at a high rank, and more forgotten."""
    dora: bool = False
    """Train the norms of the weights' rows apart from their directions (arXiv 2402.09353); a quarter slower."""
    init: Literal["default", "pissa"] = "default"
    """Where LoRA starts: at nothing, or at the principal singular vectors of each matrix (arXiv 2404.02948)."""
    lora_plus: float = 0.0
    """How many times A's learning rate is B's, 16 say (LoRA+, arXiv 2402.12354); 0: the same."""
    neftune: float = 0.0
    """Alpha of the noise on SFT's input embeddings, 5 say (NEFTune, arXiv 2310.05914); 0: none."""
    virtual_tokens: int = 20
    """Vectors before the prompt in `prompt` and `prefix` tuning, which want a learning_rate of about 1e-2."""
    optimizer: Literal["adamw", "adamw_8bit", "paged_adamw_8bit", "paged_adamw_32bit"] = "adamw"
    """Bytes of state a trained weight: 8, and 2 in 8 bit; a paged one gives way to activations on a full GPU."""
    schedule: Literal["cosine", "constant", "wsd"] = "cosine"
    """Of the learning rate after the warm-up: half a cosine to 0, none, or constant and then half a cosine to 0."""
    decay: float = 0.2
    """Share of the steps in which `wsd` goes down."""
    max_grad_norm: float = 1.0
    """Length to which a longer gradient is cut; 0: never."""
    precision: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    """Of the frozen weights and of the computation; what is trained is kept in fp32. `auto`: bf16 on a GPU that has
    it, else fp32. An evaluation computes as `auto` does, however the run was trained.
    """
    learning_rate: float = 2e-4
    """For LoRA; all weights want about a tenth of it."""
    epochs: float = 3.0
    max_steps: int = 0
    """Optimiser steps of SFT, however many rows there are; 0: by `epochs`."""
    batch_size: int = 16
    """Rows behind one optimiser step."""
    micro_batch: int = 0
    """Most rows in memory at once; the largest divisor of `batch_size` that is not above it is taken, on a CPU no more
    of it than are of use. 0: as many as fit."""
    warmup: float = 0.03
    """Share of the steps."""
    weight_decay: float = 0.01
    gradient_checkpointing: Literal["auto", True, False] = "auto"
    """Compute activations again instead of keeping them: a third slower, far smaller. `auto`: where they do not fit."""
    max_length: int = 0
    """Tokens of the longest row allowed; 0: the model's context. A longer row is an error, never cut."""
    checkpoints: int = 10
    """Checkpoints written per stage; a killed run goes on from the last."""
    watch: bool = True
    """Ask held-out wordings of some facts while training: keep the adapter that knows most of them, and see what is
    forgotten. The evaluation leaves these wordings out."""
    watch_share: float = 0.1
    """Facts that are watched, as a share of those whose questions are trained; they are trained like the others."""
    watch_facts: int = 48
    """Most facts that are watched."""
    watch_times: int = 8
    """Looks a stage, about, besides the one before it."""
    early_stop: bool = True
    """End a stage when held-out knowledge has fallen, when it has stood still for `patience` looks, or when the general
    loss is over its margin; see `kb.finetune.stopping`."""
    patience: int = 3
    """Looks without more held-out knowledge, beyond chance, that end the stage that teaches; 0: it may stand still."""
    rescale: bool = True
    """After the stage that teaches, scale the adapter down as far as what comes back of what the base knew, declined
    and said outweighs what is lost of the documents; for LoRA without DoRA and PiSSA. See `kb.finetune.scaling`."""
    general_margin: float = 0.05
    """Most of the base's own tokens on general prompts that may be lost, a share; 0: any."""
    wordings: int = 0
    """Most training wordings of a fact that are trained, in each form; 0: all."""
    full_sentence_rows: bool = True
    """Also train answers in full sentences, under their own prompt."""
    questions: bool = True
    """Train what is asked; without, `prose` alone is trained: continued pretraining, where it has the form of text."""
    prose: bool = True
    """Also train the texts of `kb generate-qa` that tell the documents in other words."""
    prose_form: Literal["answer", "text"] = "answer"
    """`answer`: to the question of all that is known about a heading. `text`: as it stands, with no chat around it."""
    reading_share: float = 0.2
    """Facts that also get a row with retrieved passages in the prompt, so that the model keeps reading them."""
    reading_wordings: int = 1
    """Most trained wordings of such a fact that get a row with passages; 0: all."""
    replay: str = "auto"
    """What is mixed in against forgetting: a JSONL file of chats (`messages`); `auto`: the file that the model ships,
    or else what it answers to kb's general prompts before it is trained; `none`.
    """
    replay_share: float = 0.2
    """Share of all rows; less when there are fewer. One row in ten of a file is kept for watching and never trained."""
    distil_alpha: float = 0.0
    """0: forward KL divergence, which covers all that the teacher may say; 1: reverse; between: a mixture of both."""
    distil_tokens: int = 128
    """Most tokens of an answer that the teacher writes; what was written up to there is taught all the same."""
    dpo_learning_rate: float = 5e-6
    dpo_epochs: float = 1.0
    dpo_beta: float = 0.1
    dpo_sft_weight: float = 0.2
    """Weight of the likelihood term on the chosen answer, which keeps its probability from collapsing."""
    dpo_samples: int = 4
    """Closed-book answers sampled per question from the tuned model, to find its own right and wrong ones."""
    dpo_base_samples: int = 2
    """The same of the model as it was before training, where the tuned one is never wrong: what the base says wrongly
    is the rejected answer then; 0: none.
    """
    dpo_swap_share: float = 0.3
    """Most of the preference rows, of whatever stage, that may have a wrong answer taken from another fact."""
    dpo_refusal_share: float = 0.5
    """Most of the preference rows that may prefer declining over answering a near miss: of such rows alone a model
    learns to decline everything."""
    dpo_least: int = 8
    """With fewer rows (questions for `grpo` and `rloo`) a stage after the first is left out, and the report says so."""
    kto_learning_rate: float = 5e-6
    kto_epochs: float = 1.0
    kto_beta: float = 0.1
    """As in the paper (arXiv 2402.01306); right and wrong answers are weighed to count alike in all."""
    grpo_learning_rate: float = 5e-6
    grpo_epochs: float = 1.0
    grpo_beta: float = 0.04
    """Weight of the KL divergence from the model before this stage (DeepSeekMath, arXiv 2402.03300); TRL's own default
    is 0, which lets the model drift."""
    rloo_learning_rate: float = 5e-6
    rloo_epochs: float = 1.0
    rloo_beta: float = 0.05
    """The same, inside the reward (arXiv 2402.14740); TRL's default."""
    rl_samples: int = 8
    """Answers that GRPO and RLOO sample to a question and compare with each other; `batch_size` is a multiple of it."""
    rl_declining: float = 0.0
    """Their reward for declining a question that has an answer; the right answer's is 1, a wrong one's -1. Answering
    pays where more than (1 + this) / 2 of the answers are right: at 0 a model that is wrong more often than right is
    taught to decline, at -1 none is.
    """
    orpo_learning_rate: float = 8e-6
    orpo_epochs: float = 1.0
    orpo_beta: float = 0.1
    """Weight of the odds ratio beside the likelihood; rate and weight as in the paper (arXiv 2403.07691)."""
    simpo_learning_rate: float = 5e-6
    simpo_epochs: float = 1.0
    simpo_beta: float = 2.0
    simpo_gamma: float = 1.0
    """Margin by which the chosen answer is to win; half of beta, as the paper advises (arXiv 2405.14734)."""
    reward_learning_rate: float = 1e-4
    """TRL's default; the reward model is a LoRA adapter with a score head on the base."""
    reward_epochs: float = 1.0
    reward_held_out: float = 0.2
    """Share of the questions whose preference rows the reward model is measured on and not trained on."""

    def __post_init__(self) -> None:
        check_stages(self.stages, self.experimental)
        if self.name and not nameable(self.name):
            raise ConfigError(f"[train] name: {self.name!r} cannot be the name of a folder")
        for key in POSITIVE:
            if not getattr(self, key) > 0:
                raise ConfigError(f"[train] {key}: expected more than 0, got {getattr(self, key)}")
        for key in NOT_NEGATIVE:
            if not getattr(self, key) >= 0:
                raise ConfigError(f"[train] {key}: expected 0 or more, got {getattr(self, key)}")
        for key, most in SHARES.items():
            if not 0 <= getattr(self, key) <= most:
                raise ConfigError(f"[train] {key}: expected a share from 0 to {most}, got {getattr(self, key)}")
        if not self.questions and not self.prose:
            raise ConfigError("[train] questions: without questions and without prose there is nothing to train")
        if not -1 <= self.rl_declining <= 1:
            raise ConfigError(f"[train] rl_declining: expected -1 (wrong) to 1 (right), got {self.rl_declining}")
        self._check_batches()
        self._check_ways()

    def _check_batches(self) -> None:
        """Raise ConfigError where a stage compares rows with each other and the batch leaves it nothing to compare."""
        if set(VERIFIED) & set(self.stages) and (self.rl_samples < 2 or self.batch_size % self.rl_samples):
            raise ConfigError(
                f"[train] rl_samples: {self.stages[1]} compares the answers to one question, so 2 or more of them must"
                f" go into batch_size = {self.batch_size} without a rest; got {self.rl_samples}"
            )
        if "kto" in self.stages and all(self.batch_size % size for size in range(2, max(2, self.micro_batch) + 1)):
            raise ConfigError(
                f"[train] batch_size: kto needs two rows or more in memory at once, and {self.batch_size} cannot be"
                f" divided into micro-batches of 2 to {max(2, self.micro_batch)}"
            )

    def _check_ways(self) -> None:
        """Raise ConfigError for settings that would change nothing beside each other, or that do not work together."""
        idle = next((key for key in LORA_ONLY if getattr(self, key) not in UNSET), "")
        if self.tuning != "lora" and idle:
            raise ConfigError(f'[train] {idle}: only for tuning = "lora", and tuning is "{self.tuning}"; remove {idle}')
        if self.stages[0] == "distil" and self.tuning != "lora":
            raise ConfigError(
                f'[train] tuning: distil trains LoRA, whose base is the teacher, and tuning is "{self.tuning}"; set'
                ' tuning = "lora", or take sft'
            )
        if self.lora_plus and self.lora_plus < 1:
            raise ConfigError(f"[train] lora_plus: expected 1 or more, or 0 for none, got {self.lora_plus}")
        if self.dora and self.init == "pissa":
            raise ConfigError(
                "[train] init: a PiSSA adapter with DoRA cannot be turned into one for the original model; set"
                ' init = "default" or dora = false'
            )
        if self.schedule == "wsd" and self.warmup + self.decay > 1:
            raise ConfigError(f"[train] decay: {self.decay} and warmup {self.warmup} are more than all steps")
        if self.tuning == "prefix" and self.gradient_checkpointing is True:
            raise ConfigError(
                "[train] gradient_checkpointing: prefix tuning does not go with it; set gradient_checkpointing = false"
            )

    def check_quantised(self, load_in_4bit: bool) -> None:
        """Raise UsageError for a way of training that weights in 4 bits cannot go."""
        if load_in_4bit and self.tuning == "full":
            raise UsageError(
                '[train] tuning = "full" trains the weights themselves, which cannot be in 4 bits. Set load_in_4bit ='
                ' false under [model], or tuning = "lora"'
            )
        if load_in_4bit and self.init == "pissa":
            raise UsageError(
                '[train] init = "pissa" changes the weights it starts from, and 4 bits cannot hold what is left of'
                ' them. Set load_in_4bit = false under [model], or init = "default"'
            )

    @property
    def rescales(self) -> bool:
        """Whether the adapter is scaled in the end: what DoRA and PiSSA save cannot be, by a factor on one matrix."""
        return self.rescale and self.tuning == "lora" and not self.dora and self.init == "default"

    @property
    def virtual(self) -> int:
        """Places of the context that the trained vectors take."""
        return self.virtual_tokens if self.tuning in ("prompt", "prefix") else 0

    def epochs_over(self, rows: int) -> float:
        """How often SFT goes through this many rows."""
        return self.max_steps * self.batch_size / rows if self.max_steps else self.epochs


POSITIVE = (
    "rank", "alpha", "learning_rate", "epochs", "batch_size", "checkpoints", "dpo_samples",
    "dpo_least", "rl_samples", "simpo_gamma", "virtual_tokens", "distil_tokens", "watch_share", "watch_facts",
    "watch_times",
    *(f"{stage}_{key}" for stage in (*SHARPENING, REWARD) for key in ("learning_rate", "epochs")),
    *(f"{stage}_beta" for stage in SHARPENING),
)  # fmt: skip
NOT_NEGATIVE = (
    "seed", "max_steps", "weight_decay", "micro_batch", "max_length", "patience", "wordings", "reading_wordings",
    "dpo_sft_weight", "dpo_base_samples", "lora_plus", "neftune", "max_grad_norm",
)  # fmt: skip
LORA_ONLY = ("rslora", "dora", "init", "lora_plus")
UNSET = (False, 0.0, "default")
"""What such a setting is where it is not used."""
SHARES = {
    "distil_alpha": 1,
    "watch_share": 1,
    "general_margin": 1,
    "warmup": 0.9,
    "decay": 1,
    "reading_share": 1,
    "replay_share": 0.9,
    "dpo_swap_share": 1,
    "dpo_refusal_share": 1,
    "reward_held_out": 0.9,
}
"""Shares and the most that each may be; without any row or step of another kind the training would have no sense."""
