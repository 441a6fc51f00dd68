"""Raw text to documents: the only part of cloze that sees a dump, its markup and its encoding."""
