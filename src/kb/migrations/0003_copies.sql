-- Chunks that say nothing new, and what says it: found anew by every ingestion that changes something.
CREATE TABLE copies (chunk_id TEXT PRIMARY KEY, kept TEXT NOT NULL);
CREATE INDEX copies_kept ON copies(kept);
-- MinHash of a chunk's text.
CREATE TABLE signatures (chunk_id TEXT PRIMARY KEY, signature BLOB NOT NULL);
