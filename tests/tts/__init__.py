"""The room of speech synthesis: documents, words, the engine, the cache."""
