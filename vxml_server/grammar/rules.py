"""The rule tree of SRGS 1.0 section 2, which every form of grammar is read into.

The XML form, the ABNF form and the built-in types all become these dataclasses; the network is
compiled from them and knows nothing of where they came from. A tree is immutable.
"""

from __future__ import annotations

from typing import Literal

Mode = Literal["voice", "dtmf"]

JsonValue = bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None
"""What an interpretation can be: anything that JSON can say."""
