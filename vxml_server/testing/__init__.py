"""Running dialogues and conformance suites."""
