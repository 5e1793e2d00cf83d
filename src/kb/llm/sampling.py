"""Logits while an answer is made: sampling by a request's own seed, and the likelihood of a greedy answer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LogitsProcessor

from kb.llm.base import Request


class SeededSampling(LogitsProcessor):  # type: ignore[misc]
    """Adds Gumbel noise to logits / temperature, so that the argmax is a draw from the softmax.

    This is the Gumbel-max trick (Maddison et al. 2014, arXiv 1411.0030), with one generator for each row. Rows of
    temperature 0 stay greedy.
    """

    def __init__(self, requests: Sequence[Request], device: torch.device) -> None:
        self._temperatures = [request.temperature for request in requests]
        self._generators = [torch.Generator(device).manual_seed(request.seed) for request in requests]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Scores (batch, vocabulary) with noise."""
        noisy = scores.clone().float()
        for row, (temperature, generator) in enumerate(zip(self._temperatures, self._generators, strict=True)):
            if temperature:
                uniform = torch.rand(noisy.shape[1], generator=generator, device=noisy.device).clamp_(1e-10, 1 - 1e-7)
                noisy[row] = noisy[row] / temperature - torch.log(-torch.log(uniform))
        return noisy  # type: ignore[return-value]


class GreedyLikelihood(LogitsProcessor):  # type: ignore[misc]
    """Keeps the log-probability of the likeliest token at each step, which greedy decoding takes; changes nothing."""

    def __init__(self) -> None:
        self._steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Scores (batch, vocabulary) as they are."""
        self._steps.append(torch.log_softmax(scores.float(), -1).amax(-1))
        return scores

    def sums(self, tokens: Sequence[int]) -> list[float]:
        """Log-probability in nats of the first so many tokens of each row."""
        steps = torch.stack(self._steps, 1).double().cpu()
        return [float(row[:count].sum()) for row, count in zip(steps, tokens, strict=True)]
