"""An execution context: the documents being run, their scopes, and moving between them.

A call has one; every `<subdialog>` has another of its own (section 2.3.4). The rules of section
1.5.2 live here: when a transition keeps the application's variables, and when the document's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vxml_server.ecmascript import Object
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import FetchRequest, Resource, split_fragment
from vxml_server.interpreter.content import Frame, run_script
from vxml_server.interpreter.data import run_data
from vxml_server.interpreter.document import Document, Element
from vxml_server.interpreter.fia import FormInterpretation
from vxml_server.interpreter.flow import Exit, Place, Return, Transition
from vxml_server.interpreter.platform import Waiting
from vxml_server.interpreter.prefetching import wanted_ahead
from vxml_server.interpreter.properties import Properties, properties_at
from vxml_server.interpreter.scopes import Scopes

if TYPE_CHECKING:
    from vxml_server.interpreter.session import Session


# Subdialogs inside subdialogs. More are a mistake: one that calls itself.
MAX_DEPTH = 20


class ExecutionContext:
    """Runs dialog after dialog until one returns or exits."""

    def __init__(self, session: Session, *, is_subdialog: bool = False) -> None:
        self.session = session
        self.is_subdialog = is_subdialog
        self._depth = 0
        self.scopes = Scopes(session.engine, session.variables)
        self.document: Document | None = None
        self.root: Document | None = None
        # The roots of both, the nearest first.
        self._around: tuple[Element, ...] = ()
        # What the leaves call the root: its URI before any redirect.
        self._root_name = ""

    async def run(self, place: Place, parameters: Object | None = None) -> Return:
        """Runs from `place` on; raises `Exit` when the session is to end.

        `parameters` holds the values of a subdialog's `<param>` elements.
        """
        while True:
            trouble = None
            try:
                await self._enter(place)
            except VoiceXmlEvent as event:
                trouble = event
            if place.dialog is None:
                raise Exit if trouble is None else self.session.give_up(trouble)
            form = FormInterpretation(self, place.document, place.dialog, parameters)
            parameters = None
            try:
                await form.run(trouble=trouble, heard=place.input)
            except Transition as transition:
                place = transition.place
            except Return as returned:
                return returned
            else:
                raise Exit

    # Documents ---------------------------------------------------------------------------------

    async def fetch(self, request: FetchRequest, waiting: Waiting | None = None) -> Resource:
        return await self.session.fetch(request, waiting)

    async def find(
        self,
        reference: str,
        request: FetchRequest,
        *,
        within: Document | None = None,
        waiting: Waiting | None = None,
    ) -> Place:
        """The dialog that a reference names, ready to be entered.

        `reference` is as the author wrote it: a mere fragment stays in the document `within`, this
        one or its root. Without `within`, as for a `<submit>`, everything is fetched and starts
        anew. All that can fail on the way fails here, in the old dialog: fetching, compiling, a
        missing dialog (section 5.2.6, error.badfetch).
        """
        root = self.root
        if reference.startswith("#") and within is not None and root is not None:
            dialog = self._dialog(within, reference[1:])
            return Place(within, root, dialog, new_document=False, new_root=False)
        document = await self._load(request, waiting)
        fragment = split_fragment(request.uri)[1]
        if document.application:
            dialog = self._dialog(document, fragment)
            if root is not None and document.application in {root.uri, self._root_name}:
                return Place(document, root, dialog, new_root=False)
            return Place(document, await self._load_root(document, request), dialog)
        leaves_leaf = within is not None and self.document is not root
        if leaves_leaf and root is not None and document.uri in {root.uri, self._root_name}:
            dialog = self._dialog(root, fragment)
            return Place(root, root, dialog, new_document=False, new_root=False)
        return Place(document, document, self._dialog(document, fragment))

    async def _load_root(self, leaf: Document, request: FetchRequest) -> Document:
        """The root of a document that `request` brought."""
        request = replace(request, uri=leaf.application, method="GET", fields=(), base=leaf.uri)
        root = await self._load(request)
        if root.application:
            message = "an application root document may not have a root of its own"
            raise VoiceXmlEvent("error.semantic", message, uri=root.uri, line=root.root.line)
        return root

    async def run_subdialog(
        self,
        reference: str,
        request: FetchRequest,
        parameters: Object,
        waiting: Waiting | None = None,
    ) -> Return:
        """Runs a subdialog in a context of its own, where even this document's state is new."""
        child = ExecutionContext(self.session, is_subdialog=True)
        child._depth = self._depth + 1
        if child._depth > MAX_DEPTH:
            message = f"more than {MAX_DEPTH} subdialogs have called each other"
            raise VoiceXmlEvent("error.semantic", message)
        if reference.startswith("#") and self.document and self.root:
            dialog = self._dialog(self.document, reference[1:])
            place = Place(self.document, self.root, dialog)
        else:
            place = await child.find(reference, request, waiting=waiting)
        return await child.run(place, parameters)

    async def _load(self, request: FetchRequest, waiting: Waiting | None = None) -> Document:
        resource = await self.fetch(request, waiting)
        return await self.session.compile(resource)

    def _dialog(self, document: Document, identifier: str) -> Element | None:
        dialog = document.dialog(identifier)
        if dialog is None and identifier:
            message = f"the document has no dialog {identifier!r}"
            raise VoiceXmlEvent("error.badfetch", message, uri=document.uri)
        return dialog

    async def _enter(self, place: Place) -> None:
        """Makes the place's documents the current ones and initialises what is new."""
        moved = place.document is not self.document
        self.root, self.document = place.root, place.document
        # Once where the document is its own root.
        self._around = tuple(dict.fromkeys((place.document.root, place.root.root)))
        if place.new_root:
            self._root_name = place.document.application or place.root.uri
            self.scopes.enter_application()
            if place.root is not place.document:
                self.scopes.enter_document(is_root=True)
                await self._initialise(place.root)
        if place.new_document:
            self.scopes.enter_document(is_root=place.root is place.document)
            await self._initialise(place.document)
        elif moved:
            self.scopes.enter_document(is_root=place.root is place.document)

    async def _initialise(self, document: Document) -> None:
        """Runs a document's own `<var>`, `<script>` and `<data>` elements in document order."""
        properties = self.properties(document.root)
        if self.session.prefetch is not None:
            self.session.prefetch(wanted_ahead(document, self.properties))
        for element in document.root.named("var", "script", "data"):
            try:
                if element.name == "var":
                    self.scopes.declare(element.get("name"), element.attributes.get("expr"))
                elif element.name == "data":
                    await run_data(element, self, document, properties)
                else:
                    await run_script(element, self, document, properties)
            except VoiceXmlEvent as event:
                raise event.at(document.uri, element.line) from None

    # Frames ------------------------------------------------------------------------------------

    def properties(self, *nearest: Element) -> Properties:
        """What holds at `nearest` elements, inside the current documents."""
        return properties_at((*nearest, *self._around), self.session.default_properties)

    def frame(
        self,
        document: Document,
        elements: list[Element],
        form: FormInterpretation,
        *,
        as_copied: bool = False,
    ) -> Frame:
        """A frame for content inside `elements` (nearest first) of `document`."""
        return Frame(
            context=self,
            form=form,
            document=document,
            nearest=elements[0],
            properties=self.properties(*elements),
            lang=self.lang(elements[0]),
            scopes=self.scopes,
            base=document.root.base if as_copied else "",
        )

    def lang(self, element: Element) -> str:
        """The language at an element: its own, the document's, or the platform's."""
        document = self.document.lang if self.document else ""
        return element.lang or document or self.session.default_lang
