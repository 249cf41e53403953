"""Documents and callers that nobody would write, run to their end.

`documents` mutates what the repository has of documents, `callers` makes scripts, `runs` runs one
against the other and judges. Whatever is drawn comes from a `random.Random`: hypothesis gives one
that it can shrink (`test_fuzz`), `python -m tests.fuzz --runs N` seeds one a run.
"""
