-- A chunk may be cut into passages, which are chunks themselves: `section` is the id of the chunk they are part of.
ALTER TABLE chunks ADD COLUMN section TEXT NOT NULL DEFAULT '';
CREATE INDEX chunks_section ON chunks(section);
