"""Pairs to an adapter: QLoRA SFT, then DPO, on TRL."""
