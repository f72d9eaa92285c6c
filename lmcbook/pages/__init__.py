"""The pages: what makes the book out of records, with figures, tables, sentences, verdicts and explorers; no torch."""
