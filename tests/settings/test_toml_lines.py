from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from vxml_server.settings.toml_lines import KeyPath, find_lines

EVERYTHING = '''\
# a comment = 1
plain = 1 # with a comment
"quoted key" = "with # and ] and \\" inside"
dotted.'deep.er'.key = 3
text = """
not = "a key"
[nor a table]
\\""" ends not here"""
literal = \'\'\'
not = 1\'\'\'
list = [
  1, # one
  [2, 3],

  { a = 1, b = [
     "x" ] },
]

[table]
date = 1979-05-27T07:32:00Z
[table.sub]
x = 1
[[array]]
x = 1
[array.sub]
y = 2
[[array]]
x = 2
[[array.inner]]
z = 3
'''


def test_every_kind_of_key_has_its_line() -> None:
    lines = find_lines(EVERYTHING)
    expected: dict[KeyPath, int] = {
        ("plain",): 2,
        ("quoted key",): 3,
        ("dotted", "deep.er", "key"): 4,
        ("text",): 5,
        ("literal",): 9,
        ("list",): 11,
        ("list", 0): 12,
        ("list", 1): 13,
        ("list", 1, 1): 13,
        ("list", 2, "a"): 15,
        ("list", 2, "b", 0): 16,
        ("table",): 19,
        ("table", "date"): 20,
        ("table", "sub", "x"): 22,
        ("array", 0): 23,
        ("array", 0, "x"): 24,
        ("array", 0, "sub", "y"): 26,
        ("array", 1, "x"): 28,
        ("array", 1, "inner", 0, "z"): 30,
    }
    assert {path: lines.get(path) for path in expected} == expected
    assert not any("not" in path for path in lines)


def paths(value: object, path: KeyPath = ()) -> set[KeyPath]:
    found = {path} - {()}
    if isinstance(value, dict):
        for key, below in value.items():
            found |= paths(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            found |= paths(below, (*path, index))
    return found


def quoted(text: str) -> str:
    return '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 0xD800 else "x" for c in text) + '"'


values = st.recursive(
    st.one_of(
        st.integers(-9, 99).map(str),
        st.booleans().map(lambda b: str(b).lower()),
        st.text(max_size=5).map(quoted),
        st.text(alphabet='a]}[{,#="\n ', max_size=6).map(lambda t: f"'''{t}'''"),
    ),
    lambda below: st.one_of(
        st.lists(below, max_size=3).map(lambda items: "[ # [\n" + ",\n".join(items) + "]"),
        st.dictionaries(st.sampled_from("abc"), below, max_size=3).map(
            lambda d: "{" + ", ".join(f"{k} = {v}" for k, v in d.items()) + "}"
        ),
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "b", '"c d"', "'e.f'"]), values))
def test_every_value_that_tomllib_finds_has_a_line(pairs: dict[str, str]) -> None:
    text = "".join(f"{key} = {value}\n" for key, value in pairs.items())
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError:  # newlines inside inline tables
        return
    assert paths(tree) <= set(find_lines(text))
