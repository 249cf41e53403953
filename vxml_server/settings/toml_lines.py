"""The lines of a TOML file's keys, for error messages: tomllib gives values without positions.

`find_lines()` walks text that tomllib has already accepted, so it may trust the syntax: it only
has to know where keys stand and how values end.
"""

from __future__ import annotations

import re
import tomllib

KeyPath = tuple[str | int, ...]

_KEY_PART = re.compile(r"""[ \t]*([A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')[ \t]*""")
_SCALAR = re.compile(r"[^,\]}\s#][^,\]}\n#]*")
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\[\s\S])*?"{3,5}'),
    re.compile(r"'''[\s\S]*?'{3,5}"),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)
_GAP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")


def find_lines(text: str) -> dict[KeyPath, int]:
    """Path of every key, table and array element in valid TOML -> its line, counted from 1."""
    return _Walk(text).run()


class _Walk:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self.arrays: dict[KeyPath, int] = {}

    def run(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip_gap()
        while self.at < len(self.text):
            table = self._header() if self.text[self.at] == "[" else table
            self._skip_gap()
            if self.at < len(self.text) and self.text[self.at] != "[":
                self._pair(table)
                self._skip_gap()
        return self.lines

    def _header(self) -> KeyPath:
        is_array = self.text.startswith("[[", self.at)
        line = self._line()
        self.at += 2 if is_array else 1
        path = self._key(())
        self.at += 2 if is_array else 1
        if is_array:
            if isinstance(path[-1], int):  # a further element, not something below the last one
                path = path[:-1]
            index = self.arrays.get(path, -1) + 1
            self.arrays[path] = index
            self.lines.setdefault(path, line)
            path = (*path, index)
        self.lines[path] = line
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = self._key(table)
        self.lines[path] = line
        self.at += 1  # the equals sign
        self._value(path)

    def _key(self, table: KeyPath) -> KeyPath:
        path = table
        while True:
            match = _KEY_PART.match(self.text, self.at)
            if match is None:
                raise ValueError(f"no key at offset {self.at}")
            self.at = match.end()
            path = (*path, _unquote(match[1]))
            if path in self.arrays:  # [numbers.x] below [[numbers]] means its last element
                path = (*path, self.arrays[path])
            if not self.text.startswith(".", self.at):
                return path
            self.at += 1

    def _value(self, path: KeyPath) -> None:
        self._skip_gap()
        opening = self.text[self.at]
        if opening == "[":
            self._elements(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            for pattern in (*_STRINGS, _SCALAR):
                if match := pattern.match(self.text, self.at):
                    self.at = match.end()
                    return
            raise ValueError(f"no value at offset {self.at}")

    def _elements(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        self._skip_gap()
        while self.text[self.at] != "]":
            self.lines[*path, index] = self._line()
            self._value((*path, index))
            index += 1
            self._skip_separator()
        self.at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        self._skip_gap()
        while self.text[self.at] != "}":
            self._pair(path)
            self._skip_separator()
        self.at += 1

    def _skip_separator(self) -> None:
        self._skip_gap()
        if self.text[self.at] == ",":
            self.at += 1
            self._skip_gap()

    def _skip_gap(self) -> None:
        match = _GAP.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def _line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1


def _unquote(key: str) -> str:
    if key[0] not in "\"'":
        return key
    value = tomllib.loads(f"key = {key}")["key"]
    return str(value)
