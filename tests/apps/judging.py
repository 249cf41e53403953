"""What a dialogue with an application complains of."""

from __future__ import annotations

from vxml_server.interpreter.dialogue import DialogueResult


def complaints(result: DialogueResult) -> list[str]:
    """What went otherwise than the script says, to be read in a failure."""
    found = [
        f"expected {record['pattern']!r}, heard {record['heard']!r}"
        for record in result.records
        if record["event"] == "expect" and not record["ok"]
    ]
    found += [f"never used: {step}" for step in result.unused]
    if result.outcome.reason == "error":
        found.append(f"ended in {result.outcome.error}: {result.outcome.message}")
    return found


def errors_thrown(result: DialogueResult) -> list[str]:
    """The errors that a page caught, and so hid from the outcome."""
    names = [str(record["name"]) for record in result.records if record["event"] == "throw"]
    return [name for name in names if name.startswith("error.")]
