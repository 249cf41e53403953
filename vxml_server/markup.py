"""XML that others wrote: documents, grammars, prompts, lexicons and answers of servers.

The rule that must hold: whatever is parsed, no entity is expanded, no DTD and nothing else is
fetched, and there is no tree without bounds. Every parser of the server is made here.
"""

from __future__ import annotations

from lxml import etree


def xml_parser(
    *,
    encoding: str | None = None,
    remove_comments: bool = False,
    remove_pis: bool = False,
    strip_cdata: bool = True,
    recover: bool = False,
) -> etree.XMLParser:
    """A parser for one document; `encoding` overrides what that says of itself.

    `recover` makes of what is not well-formed what can be made of it.
    """
    return etree.XMLParser(
        encoding=encoding,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=remove_comments,
        remove_pis=remove_pis,
        strip_cdata=strip_cdata,
        recover=recover,
    )
