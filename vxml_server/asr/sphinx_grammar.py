"""Grammars as PocketSphinx takes them: one JSGF for all that are active, and a dictionary for it.

Its parser and its dictionary are C code that trusts what it is given, so nothing that an author
wrote reaches them: rules and words are numbered, and tags are left out. It writes a reference out
wherever it stands, and recursion is beyond it; a grammar that recurs, or would grow beyond
`MAX_SIZE`, becomes a loop of all words, of which the grammars themselves then
choose what they allow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, product

from vxml_server.events import VoiceXmlEvent

MAX_WORDS = 10_000
"""The different words of one search: 1 s and 70 MB to begin with."""
MAX_SPELLINGS = 64
"""Of a sentence with words that sound alike."""
SIMPLE_SIZE = 100
"""The words of a grammar, written out, whose word lattice is worth while."""
MAX_SIZE = 20_000
"""The words of a grammar with all references written out."""

_HEAD = "#JSGF V1.0;\ngrammar g;\n"
_ROOT = "<root>"
# What `Grammar.to_jsgf` writes.
_PARTS = re.compile(
    r"""\s+ | (?P<rule><[^>]*>) | (?P<weight>/[^/\s]*/)
    | "(?P<quoted>(?:\\.|[^\\"])*)" | (?P<sign>[()\[\]|*+]) | (?P<word>[^\s(){}\[\]<>|*+;"/]+)""",
    re.VERBOSE | re.DOTALL,
)
_TAGS = re.compile(r'"(?:\\.|[^\\"])*"|\{(?:\\.|[^\\}])*\}', re.DOTALL)
_SPECIAL = {"<NULL>", "<VOID>"}


@dataclass(slots=True)
class Written:
    """Grammars ready for the decoder: `jsgf`, and the words that its `w0`, `w1`, ... stand for."""

    jsgf: str
    words: tuple[tuple[str, ...], ...]
    """By number: those that sound alike are one to the decoder."""
    loop: str
    """All words, any number of times: what is left when `jsgf` is refused."""
    is_simple: bool
    """Whether its word lattice stays small: a choice of a few sentences, no loop of words."""
    dictionary: str
    """Lines of `w0 HH AH L OW`."""

    def texts(self, heard: Sequence[str]) -> Iterator[str]:
        """What was heard, with the words as the grammar writes them; at most `MAX_SPELLINGS`."""
        spellings = [self.words[int(word[1:])] for word in map(plain, heard) if word]
        return map(" ".join, islice(product(*spellings), MAX_SPELLINGS))


def plain(heard: str) -> str:
    """A word of the decoder without the number of its pronunciation; "" for silence and noise."""
    return "" if heard[:1] in "<[+" else re.sub(r"\(\d+\)$", "", heard)


def write(grammars: Sequence[str], pronounce: Callable[[str], Sequence[str]]) -> Written | None:
    """The JSGF of several grammars as one; None where there is nothing that could be said.

    `grammars` are what `Grammar.to_jsgf` gave. Raises `error.unsupported.format` when they have too
    many words.
    """
    writer = _Writer(pronounce)
    rules, roots, size = [], [], 0
    for number, text in enumerate(grammars):
        found = writer.grammar(text, number)
        rules += found.rules
        roots += [found.root] if found.root else []
        size += found.size
    if not roots or not writer.dictionary:
        return None
    loop = f"{_HEAD}public {_ROOT} = ({' | '.join(writer.sayable())})+;\n"
    whole = f"{_HEAD}public {_ROOT} = {' | '.join(roots)};\n{''.join(rules)}"
    return Written(
        loop if size > MAX_SIZE else whole,
        tuple(map(tuple, writer.spellings)),
        loop,
        size <= SIMPLE_SIZE and not any(sign in whole for sign in "*+"),
        "".join(writer.dictionary),
    )


@dataclass(slots=True)
class _Rules:
    rules: list[str] = field(default_factory=list)
    root: str = ""
    size: int = 0


class _Writer:
    """Numbers words as they come up."""

    def __init__(self, pronounce: Callable[[str], Sequence[str]]) -> None:
        self._pronounce = pronounce
        self._words: dict[str, str] = {}
        self._numbers: dict[frozenset[str], int] = {}
        self.spellings: list[list[str]] = []
        self.dictionary: list[str] = []

    def sayable(self) -> Iterator[str]:
        return (f"w{number}" for number in range(len(self.spellings)))

    def grammar(self, text: str, number: int) -> _Rules:
        names: dict[str, str] = {}
        bodies: list[tuple[str, list[str]]] = []
        for name, body in _definitions(text):
            parts = [part for found in _parts(body) for part in self._part(found, names, number)]
            bodies.append((_name(names, name, number), parts or ["<NULL>"]))
        if not bodies:
            return _Rules()
        rules = [f"{name} = {' '.join(parts)};\n" for name, parts in bodies]
        return _Rules(rules, bodies[0][0], _size(dict(bodies), bodies[0][0]))

    def _part(self, found: re.Match[str], names: dict[str, str], number: int) -> Iterator[str]:
        match found.lastgroup:
            case "rule":
                rule = found["rule"]
                yield rule if rule in _SPECIAL else _name(names, rule, number)
            case "weight":
                yield f"/{_weight(found['weight'][1:-1])}/"
            case "sign":
                yield found["sign"]
            case "quoted" | "word":
                token = re.sub(r"\\(.)", r"\1", found["quoted"] or "") or found["word"] or ""
                words = [self._word(word) for word in token.split()]
                yield from ["(", *words, ")"] if len(words) > 1 else words

    def _word(self, word: str) -> str:
        if word not in self._words:
            if len(self._words) >= MAX_WORDS:
                message = f"the active grammars have more than {MAX_WORDS} words"
                raise VoiceXmlEvent("error.unsupported.format", message)
            spoken = self._pronounce(word)
            self._words[word] = f"w{self._number(word, spoken)}" if spoken else "<VOID>"
        return self._words[word]

    def _number(self, word: str, spoken: Sequence[str]) -> int:
        number = self._numbers.setdefault(frozenset(spoken), len(self.spellings))
        if number == len(self.spellings):
            self.spellings.append([])
            for count, phones in enumerate(spoken, 1):
                again = f"({count})" if count > 1 else ""
                self.dictionary.append(f"w{number}{again} {phones}\n")
        self.spellings[number].append(word)
        return number


def _definitions(text: str) -> Iterator[tuple[str, str]]:
    """Name and body of each rule; the first is the root."""
    untagged = _TAGS.sub(lambda found: found[0] if found[0].startswith('"') else "", text)
    for line in untagged.split("\n"):
        if found := re.match(r"(?:public )?(<[^>]*>) = (.*);$", line, re.DOTALL):
            yield found[1], found[2]


def _parts(body: str) -> Iterator[re.Match[str]]:
    at = 0
    while at < len(body):
        found = _PARTS.match(body, at)
        if found is None:
            at += 1
        else:
            yield found
            at = found.end()


def _name(names: dict[str, str], rule: str, number: int) -> str:
    return names.setdefault(rule, f"<g{number}r{len(names)}>")


def _weight(text: str) -> str:
    """A weight that is neither nothing, which has no logarithm, nor anything without measure."""
    try:
        weight = float(text)
    except ValueError:
        weight = 1.0
    return f"{min(1000.0, max(0.001, weight)):.4f}"


def _size(bodies: dict[str, list[str]], root: str) -> int:
    """The words of a rule with all its references written out; without end where it recurs."""
    sizes: dict[str, int] = {}
    todo = [root]
    under_way: set[str] = set()
    while todo:
        name = todo[-1]
        references = [part for part in bodies.get(name, ()) if part in bodies]
        if any(part in under_way or part == name for part in references):
            return MAX_SIZE + 1
        missing = [part for part in references if part not in sizes]
        if missing:
            under_way.add(name)
            todo += dict.fromkeys(missing)
            continue
        todo.pop()
        under_way.discard(name)
        sizes[name] = len(bodies[name]) + sum(sizes[part] for part in references)
    return sizes[root]
