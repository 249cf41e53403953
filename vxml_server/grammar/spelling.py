"""Grammars in which the words that were heard tell all there is to a match.

In `one of 0 to 9, seven times` it does not matter which way through the grammar the words took:
there is no tag, no reference and no GARBAGE that could make a difference to what they mean. For
such a grammar nothing has to be parsed unless somebody asks for the tree.
"""

from __future__ import annotations

from collections.abc import Mapping

from vxml_server.grammar.network import Call, Emit, Network, Read, Skip


def spelling(network: Network) -> Mapping[str, str] | None:
    """How such a grammar writes each of its words; None for a grammar of another kind."""
    tokens: dict[str, str] = {}
    for node in network.nodes:
        if isinstance(node, Read):
            if node.token is None or tokens.setdefault(node.word, node.token) != node.token:
                return None  # a token of several words, or two tokens that sound alike
        elif isinstance(node, Emit | Skip) or (isinstance(node, Call) and node.label):
            return None
    return tokens
