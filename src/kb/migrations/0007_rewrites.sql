-- Passages told in other words, to be trained as text.
CREATE TABLE rewrites (
    id TEXT PRIMARY KEY, chunk_id TEXT NOT NULL REFERENCES chunks(id), style TEXT NOT NULL, text TEXT NOT NULL,
    language TEXT NOT NULL, prompt TEXT NOT NULL
);
CREATE INDEX rewrites_chunk ON rewrites(chunk_id);
