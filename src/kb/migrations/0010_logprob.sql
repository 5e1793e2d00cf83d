-- How likely the model found a greedy answer, in nats; unknown of servers and of answers of before.
ALTER TABLE llm_calls ADD COLUMN logprob REAL;
