"""Which chunks answer a question: BM25 and embeddings, fused."""
