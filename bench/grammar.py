"""What grammars cost: to compile, and to match, against their size.

    python bench/grammar.py [--most 10000] [--core 0]

For each shape of grammar the size doubles or so from row to row. Printed are the time to load it
from its source, to match a sentence that is new to it, to match it again, to work out the
interpretation, and the cost of one key or word fed to a matcher; all the best of several. Under
each table stands the exponent of the fit `time = c * size ** exponent`: 1 is linear, and for the
costs of matching, 0 is independent of the size. The last table has grammars that are as ambiguous
as can be, where a careless parser takes exponential time: there the exponent is against the length
of the input, and 3 is what Earley's algorithm may take.
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import time
from collections.abc import Callable, Sequence

from vxml_server.grammar import Grammar, load

SRGS = "http://www.w3.org/2001/06/grammar"
XML_HEAD = f'<grammar xmlns="{SRGS}" version="1.0" xml:lang="en" root="r" tag-format="{{}}">'
ABNF_HEAD = "#ABNF 1.0;\nlanguage en; root $r; tag-format <{}>;\n"
SCRIPT, LITERAL = "semantics/1.0", "semantics/1.0-literals"


def names(count: int) -> list[str]:
    first = ("anna", "ben", "claire", "david", "emma", "felix", "greta", "hugo")
    last = ("smith", "miller", "brook", "stone", "hill")
    return [f"{first[n % 8]} {last[n % 5]}{n}" for n in range(count)]


def xml_names(count: int) -> tuple[bytes, str]:
    items = "\n".join(
        f"<item>{name}<tag>out.id = {n};</tag></item>" for n, name in enumerate(names(count))
    )
    source = f'{XML_HEAD.format(SCRIPT)}<rule id="r"><one-of>{items}</one-of></rule></grammar>'
    return source.encode(), names(count)[count // 2]


def abnf_names(count: int) -> tuple[bytes, str]:
    branches = "\n| ".join(f"{name} {{{n}}}" for n, name in enumerate(names(count)))
    source = f"{ABNF_HEAD.format(LITERAL)}$r = call ({branches}) [please];"
    return source.encode(), f"call {names(count)[count // 2]} please"


def keys(count: int) -> tuple[bytes, str]:
    branches = " | ".join(f"{' '.join(f'{n:05}')} {{{n:05}}}" for n in range(count))
    source = f"#ABNF 1.0;\nmode dtmf; root $r; tag-format <{LITERAL}>;\n$r = ({branches});"
    return source.encode(), f"{count // 2:05}"


def engine(count: int) -> tuple[bytes, str]:
    """Tags that need ECMAScript."""
    branches = "\n| ".join(
        f"{name} {{!{{var n = {n}; out.id = n + 1;}}!}}" for n, name in enumerate(names(count))
    )
    source = f"{ABNF_HEAD.format(SCRIPT)}$r = {branches};"
    return source.encode(), names(count)[count // 2]


def depth(count: int) -> tuple[bytes, str]:
    rules = "\n".join(
        f"$s{n} = [very] $s{n + 1} {{out.v = rules.s{n + 1};}} | w{n};" for n in range(count)
    )
    source = f"{ABNF_HEAD.format(SCRIPT)}$r = $s0 {{out = 'x';}};\n{rules}\n$s{count} = end;"
    return source.encode(), "very end"


def nested(count: int) -> tuple[bytes, str]:
    inside = "(" * count + "end" + " [x])" * count
    return f"{ABNF_HEAD.format(LITERAL)}$r = {inside};".encode(), "end x x"


def both_ways(length: int) -> tuple[bytes, str]:
    return f"{ABNF_HEAD.format(LITERAL)}$r = $r $r | a | ();".encode(), "a " * length


def optionals(length: int) -> tuple[bytes, str]:
    body = " ".join(["[a]"] * length + ["a"] * length)
    return f"{ABNF_HEAD.format(LITERAL)}$r = {body};".encode(), "a " * length


def doubled(length: int) -> tuple[bytes, str]:
    """Written out it would have two to the fiftieth nodes."""
    rules = "\n".join(f"$s{n} = $s{n + 1} $s{n + 1} | a | b;" for n in range(50))
    return f"{ABNF_HEAD.format(LITERAL)}$r = $s0;\n{rules}\n$s50 = a;".encode(), "a " * length


def stars(length: int) -> tuple[bytes, str]:
    source = f"{ABNF_HEAD.format(LITERAL)}$r = (((a <0->) <0->) <0->) <0-> ($GARBAGE a) <0->;"
    return source.encode(), "a " * length


def same(length: int) -> tuple[bytes, str]:
    """Every word in every way."""
    branches = " | ".join(f"a {{{n}}} | $s" for n in range(20))
    return f"{ABNF_HEAD.format(LITERAL)}$r = ({branches}) <1->;\n$s = a | a a;".encode(), (
        "a " * length
    )


def best(work: Callable[[], object], times: int) -> float:
    """The least time in milliseconds that `work` takes."""
    found = math.inf
    for _ in range(times):
        gc.collect()
        gc.disable()
        begun = time.perf_counter()
        work()
        found = min(found, time.perf_counter() - begun)
        gc.enable()
    return found * 1000


def exponent(sizes: Sequence[int], times: Sequence[float]) -> float:
    """The slope of the straight line through the logarithms, by least squares."""
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in times]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return above / sum((a - mean_x) ** 2 for a in x)


def feed(grammar: Grammar, said: str) -> float:
    tokens = list(said) if grammar.mode == "dtmf" else said.split()

    def run() -> None:
        matcher = grammar.start()
        for token in tokens:
            matcher.feed(token)

    return best(run, 5) / len(tokens)


def measured(make: Callable[[int], tuple[bytes, str]], size: int) -> tuple[list[float], Grammar]:
    source, said = make(size)
    compiling = best(lambda: load(source), 3)
    grammar = load(source)
    first = best(lambda: grammar.match(said), 1)
    match = grammar.match(said)
    if match is None:
        raise SystemExit(f"{make.__name__}({size}) does not match")
    again = best(lambda: grammar.match(said), 5)
    fresh = [found for _ in range(5) if (found := grammar.match(said)) is not None]
    meaning = min(best(lambda found=found: found.interpretation, 1) for found in fresh)  # type: ignore[misc]
    return [compiling, first, again, meaning, feed(grammar, said)], grammar


def table(title: str, make: Callable[[int], tuple[bytes, str]], sizes: Sequence[int]) -> None:
    print(f"\n{title}")
    print(
        f"{'size':>7} {'compile':>10} {'first':>9} {'again':>9} {'meaning':>9} {'a token':>9}  ms"
    )
    rows = []
    for size in sizes:
        row, grammar = measured(make, size)
        rows.append(row)
        kind = "automaton" if grammar.automaton is not None else "parser"
        print(f"{size:>7}" + "".join(f" {value:>9.3f}" for value in row) + f"  {kind}")
    fits = [exponent(sizes, column) for column in zip(*rows, strict=True)]
    print("    fit" + "".join(f" {fit:>9.2f}" for fit in fits) + "  exponent")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--most", type=int, default=10_000, help="alternatives of the largest")
    parser.add_argument("--core", type=int, default=None, help="the core to stay on")
    options = parser.parse_args()
    if options.core is not None:
        os.sched_setaffinity(0, {options.core})
    sizes = [size for size in (100, 300, 1000, 3000, 10_000) if size <= options.most]
    table("names, XML, tags that assign", xml_names, sizes)
    table("names in a sentence, ABNF, literal tags", abnf_names, sizes)
    table("account numbers, keys", keys, sizes)
    table("names, tags that need the ECMAScript engine", engine, sizes)
    table("depth: rules in rules", depth, (5, 10, 20, 35, 50))
    table("depth: brackets in brackets", nested, (5, 10, 20, 35, 50))
    lengths = (5, 10, 20, 40)
    for make in (both_ways, optionals, doubled, stars, same):
        table(f"ambiguous: {make.__name__}, against the words of the input", make, lengths)


if __name__ == "__main__":
    main()
