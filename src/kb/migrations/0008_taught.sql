-- How a fact is taught, if at all; the right answer of a question that does not ask for its fact's; and what the base
-- model knew before training.
ALTER TABLE facts ADD COLUMN taught TEXT NOT NULL DEFAULT 'questions';
ALTER TABLE questions ADD COLUMN answer TEXT NOT NULL DEFAULT '';
CREATE TABLE knownness (
    id TEXT PRIMARY KEY, fact_id TEXT NOT NULL, model TEXT NOT NULL, samples INTEGER NOT NULL, correct INTEGER NOT NULL
);
CREATE INDEX knownness_fact ON knownness(fact_id);
