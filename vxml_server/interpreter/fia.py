"""The form interpretation algorithm: appendix C of VoiceXML 2.0, phase by phase.

    initialise   declare the form's variables and items, in document order
    select       the item to visit: the one a <goto nextitem> named, or the first whose variable is
                 undefined and whose condition holds
    collect      queue its prompts, activate grammars, listen (or do what the item does)
    process      what was heard fills items, follows a link, leaves the form; an event finds its
                 handler; then the <filled> actions that apply are executed

A menu is a form with one item that is never filled. The names are the appendix's own. The rule that
must hold here: every path through an iteration ends either with a visited item that is done, with
a handled event, or with an exception of `flow`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vxml_server import catalogue
from vxml_server.ecmascript import Object
from vxml_server.events import VoiceXmlEvent, matches
from vxml_server.interpreter import items
from vxml_server.interpreter.content import Frame, content_of, execute, follow, thrown
from vxml_server.interpreter.document import CONTROL_ITEMS, Document, Element
from vxml_server.interpreter.events import (
    EventCounters,
    Handler,
    default_reaction,
    handlers_of,
    select_handler,
)
from vxml_server.interpreter.flow import Exit, GotoItem, Place, Transition
from vxml_server.interpreter.form_item import FormItem, filled_actions, prompts_of, slot_value
from vxml_server.interpreter.grammars import (
    ChoiceOwner,
    FormOwner,
    ItemOwner,
    LinkOwner,
    OptionOwner,
    Situation,
    UniversalOwner,
    active_grammars,
)
from vxml_server.interpreter.initialisation import initialise
from vxml_server.interpreter.platform import (
    ActiveGrammar,
    InputKind,
    InputResult,
    Json,
    Recognition,
)
from vxml_server.interpreter.prompts import choice_text, select_prompts
from vxml_server.interpreter.results import forget_last, set_last, set_shadow
from vxml_server.interpreter.trace import step

if TYPE_CHECKING:
    from vxml_server.interpreter.context import ExecutionContext


class FormInterpretation:
    """One visit to a dialog, from its initialisation until it is left."""

    def __init__(
        self,
        context: ExecutionContext,
        document: Document,
        dialog: Element,
        parameters: Object | None = None,
    ) -> None:
        self.context = context
        self.scopes = context.scopes
        self.document = document
        self.dialog = dialog
        self._parameters = parameters
        self._items: list[FormItem] = []
        self._by_element: dict[Element, FormItem] = {}
        self._frames: dict[FormItem | None, Frame] = {}
        self._event_counters = EventCounters()
        self._active: FormItem | None = None
        self._next_item: FormItem | None = None
        self._suppress_prompts = False
        self._just_filled: set[FormItem] = set()

    # The main loop -----------------------------------------------------------------------------

    async def run(
        self, *, trouble: VoiceXmlEvent | None = None, heard: InputResult | None = None
    ) -> None:
        """Interprets the dialog; returns when no item is left to visit.

        `trouble` is an event to handle first, thrown while the document was initialised. `heard`
        is input that already matched one of this dialog's grammars from another one.
        """
        self.context.scopes.enter_dialog()
        self.context.session.trace_dialog(self.context.properties(self.dialog))
        self.trace("initialise", self.dialog)
        if trouble is None:
            try:
                await initialise(self, self._parameters)
            except VoiceXmlEvent as event:
                trouble = event
        while True:
            await self.context.session.step()
            self._just_filled.clear()
            try:
                if trouble is not None:
                    pending, trouble = trouble, None
                    await self._handle(pending)
                elif heard is not None:
                    result, heard = heard, None
                    await self.use(result)
                elif not await self._iterate():
                    return
            except GotoItem as goto:
                self._next_item = self._item(goto.name)
            except VoiceXmlEvent as event:
                trouble = event.at(self.document.uri, 0)

    async def _iterate(self) -> bool:
        """One iteration without anything pending; False when there is no item left to visit."""
        # What goes wrong with a condition is the form's, not that of the item visited before.
        self._active = None
        self._active = self._select()
        self.context.session.check_hangup()
        if self._active is None:
            return False
        await self._visit(self._active)
        return True

    def add_item(self, element: Element, variable: str) -> None:
        """A form item, whose variable is declared."""
        item = FormItem(element, variable)
        self._items.append(item)
        self._by_element[element] = item

    # Select ------------------------------------------------------------------------------------

    def _select(self) -> FormItem | None:
        """The select phase."""
        if self._next_item is not None:
            item, self._next_item = self._next_item, None
            self.trace("select", item.element, "by goto")
            return item
        remaining = self._items
        while remaining:
            # Asked for anew after each condition: its evaluation may have filled items.
            found = self._first_unfilled(remaining)
            for item in remaining[:found]:
                self.trace("select", item.element, "is filled")
            if found is None:
                break
            if self._condition_holds(remaining[found]):
                return remaining[found]
            remaining = remaining[found + 1 :]
        return None

    def _first_unfilled(self, items: Sequence[FormItem]) -> int | None:
        variables = [item.variable for item in items]
        return self.scopes.engine.first_undefined(self._variables, variables)

    def _condition_holds(self, item: FormItem) -> bool:
        condition = item.element.get("cond")
        is_eligible = not condition or self.scopes.truth(condition)
        self.trace("select", item.element, "selected" if is_eligible else "cond is false")
        return is_eligible

    # Collect -----------------------------------------------------------------------------------

    async def _visit(self, item: FormItem) -> None:
        """The collect phase for the selected item, and the process phase for what came of it."""
        self.context.session.observe(
            "enter",
            {
                "item": item.kind,
                "name": item.name,
                "form": self.dialog.get("id"),
                "line": item.element.line,
            },
        )
        if item.kind != "block":
            self._queue_prompts(item)
        self._suppress_prompts = False
        try:
            if item.kind in items.VISITS:
                await items.VISITS[item.kind](self, item)
            else:
                await self._process(await self._listen(item))
        except VoiceXmlEvent as event:
            raise event.at(self.document.uri, item.element.line) from None

    def _queue_prompts(self, item: FormItem) -> None:
        """Selects and queues the item's prompts (section 4.1.6), unless a handler just spoke."""
        if self._suppress_prompts:
            return
        session, builder = self.context.session, self.frame(item).prompts
        for prompt in select_prompts(prompts_of(item.element), item.prompt_counter, self.scopes):
            made = builder.prompt(prompt)
            if session.is_traced:
                self.trace("collect", prompt, f"queued, count {item.prompt_counter}")
            if made is not None:
                session.queue(made)
        item.prompt_counter += 1

    async def active_grammars(self, item: FormItem) -> tuple[ActiveGrammar, ...]:
        """The grammars to listen for while `item` is visited."""
        context, frame = self.context, self.frame(item)
        situation = Situation(self.document, context.root, self.dialog, item.element, item.is_modal)
        active = await active_grammars(
            situation,
            context.session.grammars,
            context.fetch,
            self.scopes,
            frame.properties,
            frame.lang,
        )
        if context.session.is_traced:
            self.trace("collect", item.element, f"{len(active)} grammars are active")
        return active

    async def _listen(self, item: FormItem) -> InputResult:
        grammars, frame = await self.active_grammars(item), self.frame(item)
        properties = frame.properties.input_properties()
        forget_last(self.scopes)
        return await self.context.session.listen(grammars, properties, frame.lang)

    # Process -----------------------------------------------------------------------------------

    async def _process(self, result: InputResult) -> None:
        """The process phase for what was heard."""
        if result.nbest:
            self.note_result(result)
        if result.kind is not InputKind.MATCH:
            raise VoiceXmlEvent(result.kind.value)
        await self.use(result)

    async def use(self, result: InputResult) -> None:
        """What a match does depends on whose grammar matched."""
        best = result.nbest[0]
        assert best.active is not None, "a match has a grammar"
        owner = best.active.owner
        match owner:
            case ItemOwner(element):
                item = self._by_element[element]
                value = slot_value(best.interpretation, item)
                self.fill(item, best.interpretation if value is None else value, best, result)
            case OptionOwner(element, dtmf):
                item = next(item for item in self._items if element in item.element.elements)
                value = element.get("value") or choice_text(element) or dtmf
                self.fill(item, value, best, result)
            case FormOwner(form, document) if form is not self.dialog:
                raise Transition(self._place_of(form, document, result))
            case FormOwner():
                self._fill_from_form_grammar(best, result)
            case ChoiceOwner(element, document):
                raise await self._left_by(element, document, as_copied=False)
            case LinkOwner(element):
                # Its grammars are where it was written, its attributes where it is followed (2.5).
                raise await self._left_by(element, self.document, as_copied=True)
            case UniversalOwner(event):
                raise VoiceXmlEvent(event)
        if self._just_filled:
            for item in self._items:
                if item.kind == "initial":
                    self.scopes.engine.set(self._variables, item.variable, True)
        await self.execute_filled()

    async def _left_by(
        self, element: Element, document: Document, *, as_copied: bool
    ) -> VoiceXmlEvent | Transition:
        """What a `<choice>` or `<link>`, whose references are those of `document`, leads to."""
        frame = self.frame_of_copy(self._active) if as_copied else self.frame(self._active)
        if "event" in element.attributes or "eventexpr" in element.attributes:
            return thrown(element, frame)
        return await follow(element, frame, document)

    def _place_of(self, form: Element, document: Document, result: InputResult) -> Place:
        """Another form of this document or of the root, whose grammar matched."""
        root = self.context.root
        assert root is not None, "a dialog runs in a document with a root"
        return Place(document, root, form, new_document=False, new_root=False, input=result)

    def _fill_from_form_grammar(self, best: Recognition, result: InputResult) -> None:
        """Each input item whose slot the interpretation has is filled (section 3.1.6.1)."""
        for item in self._items:
            if item.kind not in CONTROL_ITEMS and item.name:
                value = slot_value(best.interpretation, item)
                if value is not None:
                    self.fill(item, value, best, result)

    def fill(
        self,
        item: FormItem,
        value: Json,
        recognition: Recognition | None = None,
        result: InputResult | None = None,
        shadow: dict[str, Json] | None = None,
    ) -> None:
        """Gives an input item its value and its shadow variables (section 2.3.1)."""
        self.scopes.engine.set_json(self._variables, item.variable, value)
        if item.name:
            recordings = self.context.session.recordings
            set_shadow(self.scopes, item.name, recognition, result, shadow or {}, recordings)
        self.mark_filled(item)

    def mark_filled(self, item: FormItem) -> None:
        """Notes that the `<filled>` actions of the item are due."""
        if self.context.session.is_traced:
            value = self.scopes.engine.get(self._variables, item.variable)
            self.trace("process", item.element, f"filled with {self.scopes.engine.text_of(value)}")
        self._just_filled.add(item)

    async def execute_filled(self) -> None:
        """Executes the `<filled>` elements that apply, in document order (section 2.4)."""
        just_filled = set(self._just_filled)
        for element, actions in filled_actions(self.dialog):
            item = self._by_element.get(element)
            if item in just_filled:
                self._active = item
            elif item is None and self._form_filled(element, just_filled):
                self._active = None
            else:
                continue
            for filled in actions:
                await self._execute(filled, self.frame(item))

    def _form_filled(self, element: Element, just_filled: set[FormItem]) -> bool:
        """Whether a form-level `<filled>` applies: by its mode and its namelist."""
        named = element.get("namelist").split()
        watched = [
            item
            for item in self._items
            if item.kind not in CONTROL_ITEMS and (not named or item.name in named)
        ]
        if not just_filled.intersection(watched):
            return False
        return element.get("mode") == "any" or self._first_unfilled(watched) is None

    async def _execute(self, element: Element, frame: Frame) -> None:
        with self.scopes.anonymous():
            await execute(content_of(element), frame)

    def note_result(self, result: InputResult) -> None:
        """Makes what was heard known to scripts and onlookers."""
        session, best = self.context.session, result.nbest[0]
        set_last(self.scopes, result, session.recordings)
        if result.kind is InputKind.MATCH and best.active is not None:
            session.observe(
                "match",
                {
                    "utterance": best.utterance,
                    "interpretation": best.interpretation,
                    "confidence": best.confidence,
                    "grammar": best.active.scope,
                    "line": best.active.line,
                },
            )

    # Events ------------------------------------------------------------------------------------

    async def _handle(self, event: VoiceXmlEvent) -> None:
        """Finds the handler of an event and executes it, as if it stood where it was thrown."""
        item = self._active
        counters = self._event_counters if item is None else item.event_counters
        counters.increment(event.name)
        with self.scopes.anonymous():
            scope = self.scopes.innermost
            self.scopes.engine.set(scope, "_event", event.name)
            if event.message:
                self.scopes.engine.set(scope, "_message", event.message)
            else:
                self.scopes.engine.set_undefined(scope, "_message")
            handler = select_handler(self._handlers(item), event.name, counters, self.scopes.truth)
            self.context.session.observe(
                "throw",
                {
                    "name": event.name,
                    "message": event.message,
                    "line": event.line,
                    "handled_by": "default" if handler is None else handler.element.line,
                },
            )
            if handler is not None:
                self.trace("handle", handler.element, event.name)
            self._suppress_prompts = True
            if handler is None:
                self._default_handler(event, item)
            else:
                frame = self.frame_of_copy(item)
                try:
                    await execute(content_of(handler.element), frame)
                finally:
                    self._suppress_prompts = not frame.reprompt

    def _handlers(self, item: FormItem | None) -> Iterator[Handler]:
        """All handlers in scope, the nearest first (section 5.2.4, step 1)."""
        if item is not None and item.element is not self.dialog:
            yield from handlers_of(item.element)
        yield from handlers_of(self.dialog)
        yield from handlers_of(self.document.root)
        root = self.context.root
        if root is not None and root is not self.document:
            yield from handlers_of(root.root)

    def _default_handler(self, event: VoiceXmlEvent, item: FormItem | None) -> None:
        """What the platform does when no handler takes an event (section 5.2.5)."""
        key, goes_on = default_reaction(event.name)
        if key:
            frame = self.frame(item)
            self.context.session.queue(frame.prompts.text(catalogue.message(key, frame.lang)))
        if not goes_on:
            raise Exit(event=event)
        self._suppress_prompts = matches("cancel", event.name)

    def trace(self, phase: str, element: Element, detail: str = "") -> None:
        """Tells a step of the algorithm to whoever debugs the document."""
        session = self.context.session
        if session.is_traced:
            session.observe("step", step(phase, element, self.document.uri, detail))

    # What executable content asks of the form ---------------------------------------------------

    @property
    def _variables(self) -> Object:
        return self.scopes.scope("dialog")

    def has_item(self, name: str) -> bool:
        return any(item.name == name for item in self._items if name)

    def _item(self, name: str) -> FormItem:
        return next(item for item in self._items if item.name == name)

    def input_item_names(self) -> list[str]:
        """The named input items: what `<submit>` sends without a namelist."""
        return [item.name for item in self._items if item.kind not in CONTROL_ITEMS and item.name]

    def clear(self, names: list[str]) -> None:
        """`<clear>` (section 5.3.3): form items also get their counters back."""
        plain = {name.removeprefix("dialog.") for name in names}
        chosen = [item for item in self._items if not names or item.name in plain]
        for name in names:
            self.scopes.clear(name)
        for item in chosen:
            if not names:
                self.scopes.engine.set_undefined(self._variables, item.variable)
            item.prompt_counter = 1
            item.event_counters.clear()

    def _elements(self, item: FormItem | None) -> list[Element]:
        if item is None or item.element is self.dialog:
            return [self.dialog]
        return [item.element, self.dialog]

    def frame(self, item: FormItem | None) -> Frame:
        """Where the content of an item is executed, or that of the dialog."""
        found = self._frames.get(item)
        if found is None:
            elements = self._elements(item)
            found = self.context.frame(self.document, elements, self)
            self._frames[item] = found
        return found

    def frame_of_copy(self, item: FormItem | None) -> Frame:
        """Where content is executed as if it were copied to an item, or to the dialog."""
        elements = self._elements(item)
        return self.context.frame(self.document, elements, self, as_copied=True)
