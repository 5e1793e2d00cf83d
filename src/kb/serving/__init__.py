"""`kb serve`: base, tuned and RAG as the models of an OpenAI-compatible server, asked as the evaluation asks them."""
