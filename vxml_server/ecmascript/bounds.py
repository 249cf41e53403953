"""What a time limit cannot stop: work that the engine does in one piece.

The limit is looked at where a script jumps back or calls. `new Array(1e9).indexOf(1)` does neither
for a minute, nor does a search for one long string in another. So the functions that can do much
work in one piece refuse it: arrays, and what passes for one, are searched and changed up to
`MAX_LENGTH` elements, and strings are searched while the product of the lengths is at most
`MAX_SEARCH`. Arithmetic with BigInt is not bounded here: a million bits are the engine's own limit.
"""

from __future__ import annotations

MAX_LENGTH = 1_000_000
MAX_SEARCH = 50_000_000

_ARRAY_METHODS = (
    "concat copyWithin every fill filter find findIndex findLast findLastIndex flat flatMap forEach"
    " includes indexOf join lastIndexOf map reduce reduceRight reverse shift slice some sort splice"
    " toLocaleString toReversed toSorted toSpliced unshift with"
)
_SEARCHES = "includes indexOf lastIndexOf replace replaceAll split"

SOURCE = f"""(() => {{
  const {{ apply, defineProperty }} = Reflect, {{ isArray }} = Array, {{ replace, split }} = Symbol;
  const fail = RangeError, text = String;
  const bound = (prototype, names, check) => {{
    for (const name of names.split(' ')) {{
      const native = prototype[name];
      if (typeof native !== 'function') continue;
      const {{ [name]: value }} = {{
        [name](...given) {{ check(this, given); return apply(native, this, given) }} }};
      defineProperty(prototype, name, {{ value, writable: true, configurable: true }});
    }}
  }};
  const tooLong = array => {{
    if (array.length > {MAX_LENGTH}) throw new fail('the array is too long');
  }};
  bound(Array.prototype, '{_ARRAY_METHODS}', (array, given) => {{
    if (array !== undefined && array !== null) tooLong(array);
    for (let i = 0; i < given.length; i++) if (isArray(given[i])) tooLong(given[i]);
  }});
  bound(String.prototype, '{_SEARCHES}', (string, given) => {{
    const wanted = given[0];
    if (typeof wanted === 'object' && wanted !== null) {{
      if (wanted[replace] !== undefined || wanted[split] !== undefined) return;
      given[0] = text(wanted);
    }}
    if (typeof given[0] === 'string' && given[0].length > 1
        && text(string).length * given[0].length > {MAX_SEARCH})
      throw new fail('the string is too long to be searched');
  }});
}})()"""

NAMES = frozenset(_ARRAY_METHODS.split()) | frozenset(_SEARCHES.split())
LINE = next(n for n, line in enumerate(SOURCE.splitlines(), 1) if "apply(native" in line)
"""Where in `SOURCE` all bounded functions are: their frames in a stack trace say so."""
