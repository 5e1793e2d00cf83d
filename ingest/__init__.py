"""Documents to chunks: parse, find the structure, cut, store."""
