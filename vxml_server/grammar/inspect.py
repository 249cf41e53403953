"""The `grammar` command: a grammar put to the test at the keyboard.

`inspect` makes the records that the command prints, and knows nothing of terminals. A record is a
JSON object; its `error` says why a grammar cannot be used, with the place, or is None.
"""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from vxml_server.events import VoiceXmlEvent
from vxml_server.grammar.builtins import builtin, is_builtin
from vxml_server.grammar.grammar import Grammar, Match
from vxml_server.grammar.loader import load_async
from vxml_server.grammar.rules import JsonValue, Mode

Record = dict[str, JsonValue]

ACCEPTED, REJECTED, IN_ERROR = 0, 1, 2
"""The exit statuses."""

COUNTED = 10_000
"""The sentences that `check` counts."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a grammar: to match a text, to make sentences (the same for the same
    `seed`), to say what it is."""

    match: str | None = None
    generate: int = 0
    seed: int | None = None
    check: bool = False


async def inspect(
    uri: str,
    fetch: Callable[[str], Awaitable[bytes]],
    wanted: Wanted,
    mode: str | None = None,
    lang: str = "",
) -> tuple[list[Record], int]:
    """The records of what is wanted of the grammar at `uri`, and the exit status.

    `mode` and `lang` are for a grammar that does not say.
    """
    known_mode: Mode | None = "dtmf" if mode == "dtmf" else "voice" if mode == "voice" else None
    try:
        if is_builtin(uri):
            grammar = builtin(uri, lang, known_mode)
        else:
            grammar = await load_async(uri, fetch=fetch, mode=known_mode, lang=lang)
    except VoiceXmlEvent as event:
        return [_record(accepted=False, error=str(event))], IN_ERROR
    records: list[Record] = []
    status = ACCEPTED
    if wanted.check:
        records.append(checked(grammar))
    if wanted.match is not None:
        record, status = matched(grammar, wanted.match)
        records.append(record)
    if wanted.generate:
        records.extend(generated(grammar, wanted.generate, wanted.seed))
        status = max(status, IN_ERROR if any(record["error"] for record in records) else ACCEPTED)
    return records, status


def _record(
    *,
    accepted: bool,
    tree: str | None = None,
    interpretation: JsonValue = None,
    error: str | None = None,
) -> Record:
    return {"accepted": accepted, "tree": tree, "interpretation": interpretation, "error": error}


def matched(grammar: Grammar, text: str) -> tuple[Record, int]:
    """What `text` is in the grammar, and the exit status."""
    match = grammar.match(text)
    if match is None:
        return _record(accepted=False), REJECTED
    interpretation, error = _meaning(match)
    record = _record(accepted=True, tree=match.tree, interpretation=interpretation, error=error)
    return record, ACCEPTED if error is None else IN_ERROR


def generated(grammar: Grammar, count: int, seed: int | None) -> Iterator[Record]:
    """Random sentences with their trees and interpretations; the same for the same seed."""
    source = random.Random(seed)
    for _ in range(count):
        sentence = grammar.random_sentence(source)
        match = None if sentence is None else grammar.match(sentence)
        if sentence is not None and match is not None:
            interpretation, error = _meaning(match)
            yield {
                "sentence": sentence,
                "tree": match.tree,
                "interpretation": interpretation,
                "error": error,
            }


def checked(grammar: Grammar) -> Record:
    """What kind of grammar it is. `sentences` is None where there are too many to count."""
    sentences = grammar.sentences(COUNTED)
    return {
        "mode": grammar.mode,
        "lang": grammar.lang,
        "root": grammar.root,
        "rules": len({(rule.document, rule.name) for rule in grammar.network.rules if rule.name}),
        "documents": len(grammar.network.documents),
        "regular": grammar.automaton is not None,
        "tokens": len(grammar.vocabulary()),
        "sentences": None if sentences is None else len(sentences),
        "error": None,
    }


def _meaning(match: Match) -> tuple[JsonValue, str | None]:
    try:
        return match.interpretation, None
    except VoiceXmlEvent as event:
        return None, str(event)


def in_words(record: Record) -> str:
    """A record as a person reads it."""
    if record["error"]:
        return f"error: {record['error']}"
    if "rules" in record:
        counted = record["sentences"]
        many = f"{counted} sentences" if counted is not None else "sentences without number"
        kind = "regular" if record["regular"] else "not regular"
        lang = f" in {record['lang']}" if record["lang"] else ""
        return (
            f"a grammar for {record['mode']}{lang}: root {record['root'] or '(none)'}, "
            f"{record['rules']} rules, {record['tokens']} tokens, {many}, {kind}"
        )
    if record.get("accepted") is False:
        return "rejected"
    meaning = json.dumps(record["interpretation"], ensure_ascii=False)
    first = f"{record['sentence']}\n" if "sentence" in record else ""
    return f"{first}  {record['tree']}\n  = {meaning}"
