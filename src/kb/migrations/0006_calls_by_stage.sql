-- How many calls a stage has made of a model, and which were the last, without reading through all of them.
CREATE INDEX llm_calls_stage ON llm_calls(stage, model, seq, error);
