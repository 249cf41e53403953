"""Which grammars are listened to: section 3.1 of VoiceXML 2.0.

`active_grammars` walks from the form item outwards, as section 3.1.3 says, and gives the grammars
in order of precedence with their owners. `GrammarStore` compiles each grammar once for all calls.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias, cast

from vxml_server import catalogue
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import FetchRequest, Resource, resolve_uri, split_fragment
from vxml_server.grammar import Grammar, builtin, load_async, phrase
from vxml_server.interpreter.document import DIALOGS, Document, Element, once
from vxml_server.interpreter.platform import ActiveGrammar, Mode
from vxml_server.interpreter.prompts import Choice, choice_text
from vxml_server.interpreter.properties import Properties, fetch_request
from vxml_server.interpreter.scopes import Scopes

Fetch: TypeAlias = Callable[[FetchRequest], Awaitable[Resource]]


@dataclass(frozen=True, slots=True, eq=False)
class ItemOwner:
    """A grammar of a form item: a field's own, or of a transfer."""

    element: Element


@dataclass(frozen=True, slots=True, eq=False)
class OptionOwner:
    """An `<option>` of a field."""

    element: Element
    dtmf: str


@dataclass(frozen=True, slots=True, eq=False)
class ChoiceOwner:
    """A `<choice>` of a menu, of the dialog being run or of another whose scope is the document."""

    element: Element
    document: Document


@dataclass(frozen=True, slots=True, eq=False)
class FormOwner:
    """A form-level grammar, of the form being run or of another whose scope is the document."""

    form: Element
    document: Document


@dataclass(frozen=True, slots=True, eq=False)
class LinkOwner:
    """A `<link>`."""

    element: Element


@dataclass(frozen=True, slots=True, eq=False)
class UniversalOwner:
    """A command that every dialog has, `help`, `exit` or `cancel`, and the event it throws."""

    event: str


Owner: TypeAlias = ItemOwner | OptionOwner | ChoiceOwner | FormOwner | LinkOwner | UniversalOwner


class GrammarStore:
    """Compiled grammars, shared by all calls, the least recently used thrown away first."""

    def __init__(self, capacity: int = 2000) -> None:
        self._capacity = capacity
        self._grammars: OrderedDict[Hashable, Grammar] = OrderedDict()

    def _known(self, key: Hashable) -> Grammar | None:
        if key in self._grammars:
            self._grammars.move_to_end(key)
        return self._grammars.get(key)

    def _put(self, key: Hashable, grammar: Grammar) -> Grammar:
        self._grammars[key] = grammar
        if len(self._grammars) > self._capacity:
            self._grammars.popitem(last=False)
        return grammar

    def builtin(self, uri: str, lang: str, mode: Mode | None = None) -> Grammar:
        key = ("builtin", uri, lang, mode)
        return self._known(key) or self._put(key, builtin(uri, lang, mode))

    def phrase(self, text: str, lang: str, mode: Mode, *, approximate: bool = False) -> Grammar:
        key = ("phrase", text, lang, mode, approximate)
        return self._known(key) or self._put(
            key, phrase(text, lang, mode=mode, approximate=approximate)
        )

    async def inline(self, element: Element, lang: str, uri: str, fetch: Fetch) -> Grammar:
        """The content of a `<grammar>` element of the document at `uri`."""
        mode = _mode(element)
        key = ("inline", element.source, element.base, lang, mode, element.line)
        if (found := self._known(key)) is not None:
            return found
        loaded = await load_async(
            element.source,
            fetch=_reader(fetch, FetchRequest(uri, base=uri)),
            base_uri=element.base,
            media_type=element.get("type"),
            mode=mode,
            lang=lang,
            line_offset=element.line - 1,
        )
        return self._put(key, loaded)

    async def external(
        self, request: FetchRequest, fetch: Fetch, media_type: str, mode: Mode | None, lang: str
    ) -> Grammar:
        """The grammar at a URI; a fragment names the rule.

        Compiled once for each content: the cache of fetches answers whether it has changed.
        """
        uri, rule = split_fragment(request.uri)
        resource = await fetch(request)
        key = ("external", uri, rule, resource.digest, mode, lang)
        if (found := self._known(key)) is not None:
            return found
        loaded = await load_async(
            resource.body,
            # What it refers to is asked for by the grammar, not by the document.
            fetch=_reader(fetch, replace(request, base=resource.uri)),
            base_uri=resource.uri,
            media_type=media_type or resource.media_type,
            mode=mode,
            lang=lang,
            rule=rule,
        )
        return self._put(key, loaded)


def _mode(element: Element) -> Mode | None:
    # A document with any other mode is not compiled.
    stated = element.get("mode")
    return cast(Mode, stated) if stated else None


def _reader(fetch: Fetch, like: FetchRequest) -> Callable[[str], Awaitable[bytes]]:
    """Fetches what a grammar refers to, under the same limits as the grammar itself."""

    async def read(uri: str) -> bytes:
        resource = await fetch(replace(like, uri=uri, base=like.base or like.uri))
        return resource.body

    return read


class Situation(NamedTuple):
    """Where the interpreter stands when it is about to listen."""

    document: Document
    root: Document | None
    dialog: Element
    item: Element
    modal: bool


@once
def implicit_keys(menu: Element) -> dict[Element, str]:
    """The keys of each `<choice>`: its own, or with `dtmf="true"` one of 1 to 9 (section 2.2)."""
    choices = menu.named("choice")
    if menu.get("dtmf") == "true":
        free = iter("123456789")
        return {c: c.get("dtmf") or next(free, "") for c in choices}
    return {choice: choice.get("dtmf") for choice in choices}


@once
def enumerated(element: Element) -> tuple[Choice, ...]:
    """What `<enumerate>` reads out in a menu or a field."""
    if element.name == "menu":
        return tuple(Choice(choice, keys) for choice, keys in implicit_keys(element).items())
    if element.name == "field":
        return tuple(Choice(option, option.get("dtmf")) for option in element.named("option"))
    return ()


async def active_grammars(
    situation: Situation,
    store: GrammarStore,
    fetch: Fetch,
    scopes: Scopes,
    properties: Properties,
    lang: str,
) -> tuple[ActiveGrammar, ...]:
    """All grammars active for the item, nearest scope first (sections 3.1.3 and 3.1.4); the same
    object for all calls where nothing in it can change."""
    known = situation.item.table(active_grammars)
    key = (situation, properties, lang, store)
    found: tuple[ActiveGrammar, ...] | None = known.get(key)
    if found is None:
        activation = _Activation(store, fetch, scopes, properties, lang)
        found = await activation.collect(situation)
        if activation.is_fixed:
            known[key] = found
    return found


class _Activation:
    """Collects the active grammars of a situation."""

    def __init__(
        self,
        store: GrammarStore,
        fetch: Fetch,
        scopes: Scopes,
        properties: Properties,
        lang: str,
    ) -> None:
        self._store = store
        self._fetch = fetch
        self._scopes = scopes
        self._properties = properties
        self._lang = lang
        self._modes = properties.get("inputmodes").split()
        self._active: list[ActiveGrammar] = []
        # Whether the same grammars are active whenever one comes here: all but those that are
        # fetched, which are asked for each time, and those that an expression names.
        self.is_fixed = True

    async def collect(self, situation: Situation) -> tuple[ActiveGrammar, ...]:
        item, dialog, document = situation.item, situation.dialog, situation.document
        if item.name != "menu":
            await self._add_item(item, document)
        if not situation.modal:
            await self._add_dialog(dialog, document, whole=True)
            await self._add_document(document, "document", running=dialog)
            root = situation.root
            if root is not None and root is not document:
                await self._add_document(root, "application", running=dialog)
            self._add_universals()
        return tuple(self._active)

    def _add_universals(self) -> None:
        """The commands of the property `universals`, in the words of the language (6.3.6)."""
        if "voice" not in self._modes:
            return
        for event in self._properties.universals():
            words = catalogue.message(f"universal.{event}", self._lang)
            grammar = self._store.phrase(words, self._lang, "voice")
            self._add(grammar, "voice", "universal", UniversalOwner(event), 0)

    async def _add_item(self, item: Element, document: Document) -> None:
        """An item's own grammars, those of its links included (section 3.1.4)."""
        for grammar in item.named("grammar"):
            await self._add_grammar(grammar, document, item.name, ItemOwner(item))
        if kind := item.get("type") if item.name == "field" else "":
            lang = item.lang or self._lang
            for mode in ("dtmf", "voice"):
                if mode in self._modes:
                    self._add_builtin(kind, lang, mode, item)
        for option in item.named("option"):
            self._add_words(option, OptionOwner(option, option.get("dtmf")), option.get("dtmf"))
        await self._add_links(item, document)

    def _add_builtin(
        self, kind: str, lang: str, mode: Literal["dtmf", "voice"], item: Element
    ) -> None:
        try:
            grammar = self._store.builtin(kind, lang, mode)
        except VoiceXmlEvent:
            # A type that is not spoken in this language is still good for keys.
            if mode == "dtmf":
                raise
            return
        self._add(grammar, mode, item.name, ItemOwner(item), item.line)

    async def _add_dialog(self, dialog: Element, document: Document, *, whole: bool) -> None:
        """A dialog's own grammars and links; unless `whole`, only those of document scope."""
        scope = dialog.get("scope")
        if dialog.name == "menu":
            if whole or scope == "document":
                await self._add_choices(dialog, document)
        else:
            for grammar in dialog.named("grammar"):
                if whole or grammar.get("scope", scope) == "document":
                    await self._add_grammar(grammar, document, "form", FormOwner(dialog, document))
        if whole:
            await self._add_links(dialog, document)

    async def _add_document(self, document: Document, scope: str, running: Element) -> None:
        await self._add_links(document.root, document, scope)
        for dialog in document.root.named(*DIALOGS):
            if dialog is not running:
                await self._add_dialog(dialog, document, whole=False)

    async def _add_links(self, parent: Element, document: Document, scope: str = "") -> None:
        for link in parent.named("link"):
            owner = LinkOwner(link)
            for grammar in link.named("grammar"):
                await self._add_grammar(grammar, document, scope or "link", owner)
            if (keys := link.get("dtmf")) and "dtmf" in self._modes:
                self._add_keys(keys, scope or "link", owner, link)

    async def _add_choices(self, menu: Element, document: Document) -> None:
        for choice, keys in implicit_keys(menu).items():
            owner = ChoiceOwner(choice, document)
            own = choice.named("grammar")
            for grammar in own:
                await self._add_grammar(grammar, document, "choice", owner)
            self._add_words(choice, owner, keys, spoken=not own, menu=menu)

    def _add_words(
        self,
        element: Element,
        owner: Owner,
        keys: str,
        *,
        spoken: bool = True,
        menu: Element | None = None,
    ) -> None:
        """The implicit grammars of a `<choice>` or `<option>`: its keys and its words."""
        if keys and "dtmf" in self._modes:
            self._add_keys(keys, element.name, owner, element)
        text = choice_text(element)
        if text and spoken and "voice" in self._modes:
            accept = element.get("accept") or (menu.get("accept") if menu else "")
            grammar = self._store.phrase(
                text, element.lang or self._lang, "voice", approximate=accept == "approximate"
            )
            self._add(grammar, "voice", element.name, owner, element.line)

    def _add_keys(self, keys: str, scope: str, owner: Owner, element: Element) -> None:
        self._add(self._store.phrase(keys, "", "dtmf"), "dtmf", scope, owner, element.line)

    async def _add_grammar(
        self, element: Element, document: Document, scope: str, owner: Owner
    ) -> None:
        grammar = await self._load(element, document)
        if grammar.mode in self._modes:
            self._add(grammar, grammar.mode, scope, owner, element.line)

    async def _load(self, element: Element, document: Document) -> Grammar:
        lang = element.lang or self._lang
        uri = element.get("src")
        try:
            if expression := element.get("srcexpr"):
                uri = self._scopes.text(expression)
                self.is_fixed = False
            if not uri:
                return await self._store.inline(element, lang, document.uri, self._fetch)
            if uri.startswith("builtin:"):
                return self._store.builtin(uri, lang)
            self.is_fixed = False
            target = resolve_uri(element.base, uri)
            request = fetch_request(element, self._properties, "grammar", target, base=document.uri)
            media_type = element.get("type")
            return await self._store.external(
                request, self._fetch, media_type, _mode(element), lang
            )
        except VoiceXmlEvent as event:
            raise event.at(document.uri, element.line) from None

    def _add(self, grammar: Grammar, mode: Mode, scope: str, owner: Owner, line: int) -> None:
        self._active.append(ActiveGrammar(grammar, mode, scope, owner, line))
