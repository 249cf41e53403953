"""References under check: dialogs and files that must be there."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from lxml import etree

from vxml_server.checking.documents import (
    CheckedDocument,
    ancestors,
    elements,
    is_file,
    local_path,
    name_of,
)

# The attributes that name a file, by element, beside those that lead to dialogs.
_FILES = {
    "audio": "src",
    "data": "src",
    "grammar": "src",
    "lexicon": "uri",
    "script": "src",
}
_HANDLERS = frozenset({"catch", "error", "help", "noinput", "nomatch"})


def check(document: CheckedDocument, ids_of: dict[Path, frozenset[str]]) -> None:
    """Adds references that lead nowhere. `ids_of`: the dialogs of each document under check."""
    for node, attribute, reference in document.references():
        if reference.startswith("#"):
            if reference[1:] not in document.dialogs and not _is_copied(document, node):
                message = f"the document has no dialog {reference[1:]}"
                place = document.source.place(node, attribute)
                document.source.add("missing-dialog", message, place)
        else:
            _check_dialog_of_another(document, node, attribute, reference, ids_of)
    for node in elements(document.root, *_FILES):
        attribute = _FILES[name_of(node)]
        if (written := node.get(attribute)) is not None:
            _check_file(document, node, attribute, written.strip())


def _is_copied(document: CheckedDocument, node: etree._Element) -> bool:
    """Whether a reference counts in the document that runs, not in this root (section 5.2)."""
    return document.is_root_of_others and any(name_of(a) in _HANDLERS for a in ancestors(node))


def _check_dialog_of_another(
    document: CheckedDocument,
    node: etree._Element,
    attribute: str,
    reference: str,
    ids_of: dict[Path, frozenset[str]],
) -> None:
    # What is submitted to, and what has no suffix, is a program as a rule.
    if name_of(node) == "submit" or not _names_a_file(reference):
        return
    if not _check_file(document, node, attribute, reference) or "#" not in reference:
        return
    path = local_path(document.resolve(node, reference))
    fragment = urlsplit(reference).fragment
    ids = ids_of.get(path.resolve()) if path is not None else None
    if fragment and ids is not None and fragment not in ids:
        message = f"{reference.partition('#')[0]} has no dialog {fragment}"
        document.source.add("missing-dialog", message, document.source.place(node, attribute))


def _names_a_file(reference: str) -> bool:
    try:
        parts = urlsplit(reference)
    except ValueError:
        return False
    return not parts.query and re.search(r"\.\w{1,8}$", parts.path) is not None


def _check_file(
    document: CheckedDocument, node: etree._Element, attribute: str, reference: str
) -> bool:
    """Whether the file is there, or not for us to say."""
    if not reference or not _names_a_file(reference) or reference.startswith("builtin:"):
        return True
    path = local_path(document.resolve(node, reference))
    if path is None or is_file(path):
        return True
    is_sound = name_of(node) == "audio" and (len(node) > 0 or bool((node.text or "").strip()))
    code = "missing-audio" if is_sound else "missing-file"
    document.source.add(
        code, f"there is no file {reference}", document.source.place(node, attribute)
    )
    return False
