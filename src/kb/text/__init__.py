"""Text in English and Chinese: language, sentences, terms, canonical forms, comparison of answers."""
