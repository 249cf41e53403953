"""The rules that look at a document's structure: one table, each row an XPath 2 expression.

An expression selects the elements that a rule complains of; a row with an attribute has the finding
stand there. Names without prefix are VoiceXML's. Beside the document an expression knows
the variables that `_variables` lists. In a message `{name}` is the element, `{parent}` what it
stands in, and `{@x}` its attribute x.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from elementpath import XPath2Parser, XPathContext, XPathToken
from elementpath.protocols import DocumentProtocol
from lxml import etree

from vxml_server.checking.documents import (
    DIALOGS,
    ITEMS,
    CheckedDocument,
    children,
    elements,
    name_of,
)
from vxml_server.interpreter.properties import DEFAULTS
from vxml_server.interpreter.schema import SRGS, VXML


@dataclass(frozen=True, slots=True)
class Rule:
    code: str
    path: str
    message: str
    attribute: str = ""


# What ends the walk through content: nothing behind it is ever done.
_LEAVING = "(exit | goto | return | submit | throw | disconnect)"
_ACTS = (
    ".//(audio | clear | disconnect | enumerate | exit | goto | prompt | reprompt | return"
    " | submit | throw | value)"
)

RULES: tuple[Rule, ...] = (
    # Names
    Rule(
        "duplicate-name",
        "/vxml/(form | menu)[@id = preceding-sibling::*[self::form or self::menu]/@id]",
        "another dialog has the id {@id}",
        "id",
    ),
    Rule(
        "duplicate-name",
        "//form/*[local-name() = $items]"
        "[@name = preceding-sibling::*[local-name() = $items]/@name]",
        "another item of the form is called {@name}",
        "name",
    ),
    Rule(
        "duplicate-variable",
        "//var[@name = preceding-sibling::var/@name]",
        "{@name} is declared twice; the second time it is assigned",
        "name",
    ),
    Rule(
        "missing-item",
        "//form//goto[@nextitem][not(@nextitem = ancestor::form/*[local-name() = $items]/@name)]",
        "the form has no item {@nextitem}",
        "nextitem",
    ),
    # Ways
    Rule(
        "unreachable-dialog",
        "/vxml/(form | menu)[not(position() = $reachable)][not($computed)]",
        "nothing leads to this <{name}>",
        "id",
    ),
    Rule(
        "unreachable-element",
        f"//{_LEAVING}/following-sibling::*[1][not(self::else or self::elseif)]",
        "<{name}> is never reached: what stands before it always leaves",
    ),
    Rule(
        "shadowed-handler",
        "for $here in //(error | help | noinput | nomatch) return $here[preceding-sibling::*"
        "[node-name(.) = node-name($here)][not(@cond)]"
        "[(@count, '1')[1] = ($here/@count, '1')[1]]]",
        "an earlier <{name}> of <{parent}> is for the same count: this one never runs",
    ),
    Rule(
        "shadowed-handler",
        "for $here in //catch[@event] return $here[preceding-sibling::catch[not(@cond)]"
        "[normalize-space(@event) = normalize-space($here/@event)]"
        "[(@count, '1')[1] = ($here/@count, '1')[1]]]",
        "an earlier <catch> of <{parent}> is for the same event and count: this one never runs",
    ),
    Rule(
        "empty-dialog",
        "//form[not(*[local-name() = $items])]",
        "the form has no item: it is left as soon as it is entered",
    ),
    Rule(
        "dead-end",
        "//menu[not(choice)][not(.//(disconnect | exit | goto | submit | throw))][not($links)]",
        "the menu has no <choice>",
    ),
    # What is heard
    Rule(
        "unheard-prompt",
        "//catch[tokenize(normalize-space(@event), ' ') = ('connection.disconnect',"
        " 'connection.disconnect.hangup')][every $event in tokenize(normalize-space(@event), ' ')"
        " satisfies starts-with($event, 'connection.disconnect')]//(prompt | audio | enumerate)"
        "[not(ancestor::prompt)]",
        "the caller has hung up: nobody hears this",
    ),
    Rule(
        "unheard-prompt",
        "//disconnect/following-sibling::*[self::prompt or self::audio]",
        "the caller is gone: nobody hears this",
    ),
    Rule(
        "first-prompt-missing",
        "//(field | initial | menu | record | transfer)[prompt][not(audio | value | enumerate)]"
        "[not(text()[normalize-space()])][not(prompt[not(@count) or @count = '1'])]"
        "/prompt[1]",
        "nothing is said when the <{parent}> is visited first: the counts begin at {@count}",
        "count",
    ),
    Rule(
        "meaningless-count",
        "//prompt[@count][not(../(self::field | self::initial | self::menu | self::object"
        " | self::record | self::subdialog | self::transfer))]",
        "in <{parent}> prompts are not counted: this one is heard every time",
        "count",
    ),
    Rule(
        "silent-handler",
        f"//(noinput | nomatch)[not({_ACTS})][not(.//text()[normalize-space()])]",
        "the <{name}> says nothing and does not <reprompt>: the caller hears silence",
    ),
    Rule(
        "audio-without-fallback",
        "//audio[not(*[not(self::desc)] | text()[normalize-space()])]",
        "if this sound cannot be played, nothing is heard",
    ),
    Rule(
        "no-language",
        "/vxml[not(@xml:lang)]",
        "the document does not say its language (xml:lang)",
    ),
    Rule(
        "no-bargein",
        "//menu/prompt[@bargein = 'false'] | //menu/property[@name = 'bargein'][@value = 'false']",
        "the caller cannot choose before the menu has been read to its end",
        "bargein",
    ),
    Rule(
        "no-escalation",
        f"//*[noinput][not($escalating = 'noinput')]/noinput[1][not({_LEAVING})] |"
        f" //*[nomatch][not($escalating = 'nomatch')]/nomatch[1][not({_LEAVING})]",
        "no <{name}> has a count: the caller hears the same every time",
    ),
    # Input
    Rule(
        "no-grammar",
        "//field[not(@type | grammar | option)][not(../grammar)][not(link)]",
        "the field has no grammar: nothing that the caller does fills it",
    ),
    Rule(
        "never-chosen",
        "//choice[not(@dtmf | grammar)][not(../@dtmf = 'true')][not(normalize-space(.))]",
        "the <choice> has neither key nor words nor grammar",
    ),
    Rule(
        "never-chosen",
        "//link[not(@dtmf | grammar)]",
        "the <link> has neither key nor grammar",
    ),
    Rule(
        "duplicate-key",
        "//(choice | option)[@dtmf = preceding-sibling::*/@dtmf]",
        "another <{name}> has the key {@dtmf}: that one is taken",
        "dtmf",
    ),
    # Values
    Rule(
        "assignment-in-cond",
        r"//*[@cond][matches(@cond, '^\s*[\w.$]+\s*=[^=]')]",
        "the condition assigns; == compares",
        "cond",
    ),
    Rule(
        "submit-all",
        "//submit[not(@namelist)]",
        "without a namelist every input item of the form is sent",
    ),
    Rule(
        "unknown-property",
        "//property[not(@name = $properties)][not(contains(@name, '.'))]",
        "{@name} is not a property of VoiceXML",
        "name",
    ),
)

_KINDS = ("audio", "data", "document", "grammar", "object", "script")
PROPERTIES = tuple(
    sorted(
        {*DEFAULTS}
        | {f"{kind}{limit}" for kind in _KINDS for limit in ("maxage", "maxstale", "fetchhint")}
        | {"recordutterancetype", "maxnbest"}
    )
)
_FIELD = re.compile(r"\{(@?)([\w:-]+)\}")


def check(document: CheckedDocument) -> None:
    """Adds what the rules find."""
    context = XPathContext(
        cast("DocumentProtocol", document.root.getroottree()),
        namespaces={"": VXML, "g": SRGS},
        variables=_variables(document),
    )
    for rule in RULES:
        for node in _compiled(rule.path).select_results(context):
            if isinstance(node, etree._Element):
                place = document.source.place(node, rule.attribute)
                document.source.add(rule.code, _filled(rule.message, node), place)


@cache
def _compiled(path: str) -> XPathToken:
    return XPath2Parser(namespaces={"": VXML, "g": SRGS}).parse(path)


def _variables(document: CheckedDocument) -> dict[str, Any]:
    """What expressions know: `$items`, names of the form items; `$reachable`, the positions of the
    dialogs that something leads to; `$computed`, whether that cannot be known; `$links`, whether
    links hold everywhere; `$escalating`, the handlers with a count above 1; `$properties`."""
    return {
        "items": list(ITEMS),
        "reachable": [
            number
            for number, dialog in enumerate(children(document.root, *DIALOGS), 1)
            if dialog in document.reachable
        ],
        "computed": document.computes_where_it_goes or document.is_entered_by_computation,
        "links": any(next(children(d.root, "link"), None) is not None for d in document.family),
        "escalating": sorted(_escalating(document)),
        "properties": list(PROPERTIES),
    }


def _escalating(document: CheckedDocument) -> set[str]:
    return {
        name_of(handler)
        for relative in document.family
        for handler in elements(relative.root, "noinput", "nomatch")
        if handler.get("count", "1") not in {"", "1"}
    }


def _filled(message: str, node: etree._Element) -> str:
    parent = node.getparent()

    def value(found: re.Match[str]) -> str:
        if found[1]:
            return node.get(found[2], "")
        return name_of(node if found[2] == "name" or parent is None else parent)

    return _FIELD.sub(value, message)
