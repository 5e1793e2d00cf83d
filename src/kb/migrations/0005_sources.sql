-- Further places that state a fact.
CREATE TABLE fact_sources (
    id TEXT PRIMARY KEY, fact_id TEXT NOT NULL, chunk_id TEXT NOT NULL, evidence TEXT NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL
);
CREATE INDEX fact_sources_fact ON fact_sources(fact_id);
CREATE INDEX fact_sources_chunk ON fact_sources(chunk_id);
