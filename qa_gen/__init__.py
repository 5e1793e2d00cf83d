"""Chunks to facts, questions, answers, negatives, preference pairs and held-out probes."""
