CREATE TABLE documents (
    id TEXT PRIMARY KEY, path TEXT NOT NULL, sha256 TEXT NOT NULL, format TEXT NOT NULL, title TEXT NOT NULL,
    language TEXT NOT NULL, text TEXT NOT NULL, notes TEXT NOT NULL, lineage TEXT NOT NULL,
    retired INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE chunks (
    id TEXT PRIMARY KEY, document_id TEXT NOT NULL REFERENCES documents(id), ordinal INTEGER NOT NULL,
    text TEXT NOT NULL, header TEXT NOT NULL, language TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
    page INTEGER NOT NULL, tokens INTEGER NOT NULL
);
CREATE INDEX chunks_document ON chunks(document_id);
CREATE TABLE vectors (
    chunk_id TEXT NOT NULL, model TEXT NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (chunk_id, model)
);
CREATE TABLE facts (
    id TEXT PRIMARY KEY, chunk_id TEXT NOT NULL REFERENCES chunks(id), statement TEXT NOT NULL, answer TEXT NOT NULL,
    answer_type TEXT NOT NULL, evidence TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
    language TEXT NOT NULL, aliases TEXT NOT NULL, full_answer TEXT NOT NULL
);
CREATE INDEX facts_chunk ON facts(chunk_id);
CREATE TABLE questions (
    id TEXT PRIMARY KEY, chunk_id TEXT NOT NULL REFERENCES chunks(id), fact_id TEXT NOT NULL, kind TEXT NOT NULL,
    split TEXT NOT NULL, text TEXT NOT NULL, language TEXT NOT NULL, prompt TEXT NOT NULL
);
CREATE INDEX questions_fact ON questions(fact_id);
CREATE TABLE qa_pairs (
    id TEXT PRIMARY KEY, question_id TEXT NOT NULL REFERENCES questions(id), fact_id TEXT NOT NULL, form TEXT NOT NULL,
    question TEXT NOT NULL, answer TEXT NOT NULL, language TEXT NOT NULL
);
CREATE TABLE preference_pairs (
    id TEXT PRIMARY KEY, question_id TEXT NOT NULL REFERENCES questions(id), fact_id TEXT NOT NULL,
    source TEXT NOT NULL, question TEXT NOT NULL, chosen TEXT NOT NULL, rejected TEXT NOT NULL, language TEXT NOT NULL
);
-- What was made and not kept: a dropped fact, question or pair, with the reason.
CREATE TABLE rejects (
    id TEXT PRIMARY KEY, stage TEXT NOT NULL, step TEXT NOT NULL, item TEXT NOT NULL, reason TEXT NOT NULL,
    detail TEXT NOT NULL
);
-- Units of work that failed and wait for a rerun: a file, a chunk asked, a probe answered.
CREATE TABLE failures (
    stage TEXT NOT NULL, item TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (stage, item)
);
-- Every request to a model and what came back, appended as it lands. Only rows with error = '' are answers.
CREATE TABLE llm_calls (
    seq INTEGER PRIMARY KEY, key TEXT NOT NULL, stage TEXT NOT NULL, model TEXT NOT NULL, request TEXT NOT NULL,
    response TEXT NOT NULL, finish TEXT NOT NULL, error TEXT NOT NULL, prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL, seconds REAL NOT NULL, at TEXT NOT NULL
);
CREATE UNIQUE INDEX llm_calls_answered ON llm_calls(key) WHERE error = '';
CREATE INDEX llm_calls_key ON llm_calls(key);
CREATE TABLE runs (
    name TEXT PRIMARY KEY, kind TEXT NOT NULL, status TEXT NOT NULL, key TEXT NOT NULL, config TEXT NOT NULL,
    lineage TEXT NOT NULL, metrics TEXT NOT NULL, at TEXT NOT NULL
);
CREATE TABLE scores (
    eval TEXT NOT NULL, probe_id TEXT NOT NULL, arm TEXT NOT NULL, answer TEXT NOT NULL, verdict TEXT NOT NULL,
    rule TEXT NOT NULL, passages TEXT NOT NULL, tokens INTEGER NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (eval, arm, probe_id)
);
CREATE TABLE probes (
    eval TEXT NOT NULL, id TEXT NOT NULL, fact_id TEXT NOT NULL, kind TEXT NOT NULL, question TEXT NOT NULL,
    gold TEXT NOT NULL, answer_type TEXT NOT NULL, language TEXT NOT NULL, aliases TEXT NOT NULL,
    passages TEXT NOT NULL, PRIMARY KEY (eval, id)
);
-- SHA-256 of large files by path, size and time, so that a model's identity is not hashed anew by each command.
CREATE TABLE file_hashes (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL
);
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
