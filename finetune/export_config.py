"""The `[export]` section of kb.toml."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from kb.errors import ConfigError

Dtype = Literal["bf16", "fp16", "fp32"]
LIMITS = (
    ("parity_kl", 10), ("parity_agreement", 1), ("parity_accuracy", 1), ("parity_gguf_kl", 10),
    ("parity_gguf_agreement", 1),
)  # fmt: skip
GGUF = ("f32", "f16", "bf16", "q8_0")
"""What llama.cpp's converter writes by itself; smaller ones are made of these by its llama-quantize."""

PLAIN = ("f32", "f16", "bf16")
"""Those of them that hold a weight as a number of its own."""


@dataclass(frozen=True)
class ExportConfig:
    """What `kb export` writes, and how near it has to come to the model that was trained.

    Raises ConfigError when a value cannot mean anything.
    """

    run: str = ""
    """Training run to export; empty: the last one."""
    out: str = ""
    """Folder to write; empty: exports/model-RUN in the workspace."""
    dtype: Dtype = "bf16"
    """Of the weights. Matrices are merged in fp32 and rounded once; most models are published in bf16."""
    gguf: str = ""
    """Also a GGUF file of this type by llama.cpp's converter: f32, f16, bf16 or q8_0; empty: none."""
    llama_cpp: str = ""
    """Folder of llama.cpp, with its convert_hf_to_gguf.py; empty: $LLAMA_CPP, or where PATH has it."""
    parity_probes: int = 64
    """Held-out questions that adapter and exported file are compared on, each without passages and with its own."""
    parity_kl: float = 0.01
    """Most KL divergence of the exported file from the adapter, in nats a token, mean over the right answers. Rounding
    to bf16 costs 0.0001, merging into the base as it was before 4 bits 0.016, and loses a fifth of the right answers
    (docs/measurements/merging.md); a wrong base or a lost adapter is whole nats away."""
    parity_agreement: float = 0.97
    """Least share of those tokens at which both models hold the same one for the likeliest; two that are as likely but
    for a tenth of a nat count as the same, since rounding turns them."""
    parity_accuracy: float = 0.05
    """Most of the probes that the exported file may get right less than the adapter, as a share: three of 64, which is
    what near ties cost when they all fall on one side."""

    parity_gguf_kl: float = 0.02
    """The same as `parity_kl` for a GGUF file whose weights take fewer than 16 bits (q8_0); one of 16 or 32 bits has to
    come as near as the folder it is made of. The rounding of q8_0 costs 0.0002 (benchmarks/merging.py, base lab) to
    0.001 (a model of random weights, the flattest there is); two matrices that change places, whole nats."""
    parity_gguf_agreement: float = 0.95
    """The same as `parity_agreement` for such a file; 1.0 and 0.963 of the same two."""

    def __post_init__(self) -> None:
        if self.gguf and self.gguf not in GGUF:
            raise ConfigError(
                f"[export] gguf: {self.gguf!r} is not one of {', '.join(GGUF)}. For a smaller type, export f16 and give"
                " the file to llama.cpp's llama-quantize"
            )
        if self.parity_probes < 1:
            raise ConfigError(f"[export] parity_probes: expected 1 or more, got {self.parity_probes}")
        for key, most in LIMITS:
            if not 0 <= getattr(self, key) <= most:
                raise ConfigError(f"[export] {key}: expected 0 to {most}, got {getattr(self, key)}")

    def of_gguf(self) -> ExportConfig:
        """The settings with the limits that hold for the GGUF file."""
        if self.gguf in PLAIN:
            return self
        return replace(self, parity_kl=self.parity_gguf_kl, parity_agreement=self.parity_gguf_agreement)
