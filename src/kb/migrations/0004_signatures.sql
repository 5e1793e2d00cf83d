-- What tells chunks apart that say the same: a digest of the words, and MinHash of those of a longer text. Made again
-- where it is missing.
DROP TABLE signatures;
CREATE TABLE signatures (chunk_id TEXT PRIMARY KEY, exact BLOB NOT NULL, near BLOB NOT NULL);
