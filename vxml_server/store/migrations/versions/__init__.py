"""One module a step, each naming the step before it. A released step is never edited."""
