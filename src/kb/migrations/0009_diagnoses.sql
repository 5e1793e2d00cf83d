-- What an evaluation finds of each fact: what it lacks, and so what is to be done about it.
CREATE TABLE diagnoses (
    eval TEXT NOT NULL, fact_id TEXT NOT NULL, findings TEXT NOT NULL, PRIMARY KEY (eval, fact_id)
);
CREATE INDEX diagnoses_fact ON diagnoses(fact_id);
