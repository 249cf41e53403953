"""The initialisation of a dialog: the first phase of appendix C of VoiceXML 2.0.

Variables and form items are declared in document order. What is merely declared, which is most, is
declared in one piece; only an expression, a script or a fetch takes a step of its own, and when one
fails, what stands behind it is not declared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vxml_server.ecmascript import Object
from vxml_server.events import VoiceXmlEvent
from vxml_server.interpreter.content import run_script
from vxml_server.interpreter.data import run_data
from vxml_server.interpreter.document import FORM_ITEMS, Element, once
from vxml_server.interpreter.scopes import is_variable_name

if TYPE_CHECKING:
    from vxml_server.interpreter.fia import FormInterpretation


@dataclass(frozen=True, slots=True)
class _Declared:
    """Children of a dialog that stand beside each other, and whose variables are undefined at
    first: the names of `<var>` elements, the form items with their variables, and all variables."""

    names: tuple[str, ...]
    items: tuple[tuple[Element, str], ...]
    variables: tuple[str, ...]


@once
def _steps(dialog: Element) -> tuple[_Declared | tuple[Element, str], ...]:
    """What is only declared, and each child that takes more, with the name of its variable."""
    steps: list[_Declared | tuple[Element, str]] = []
    names: list[str] = []
    items: list[tuple[Element, str]] = []

    def end_run() -> None:
        if names or items:
            variables = (*names, *[variable for _, variable in items])
            steps.append(_Declared(tuple(names), tuple(items), variables))
            names.clear()
            items.clear()

    for position, element in enumerate(dialog.elements):
        is_item = element.name in FORM_ITEMS
        if not is_item and element.name not in {"var", "script", "data"}:
            continue
        name = element.get("name")
        # No expression can spell the name that an item without one gets.
        variable = name if name or not is_item else f"({element.name} {position})"
        is_plain = (is_item or element.name == "var") and "expr" not in element.attributes
        if not is_plain or (variable == name and not is_variable_name(name)):
            end_run()
            steps.append((element, variable))
        elif is_item:
            items.append((element, variable))
        else:
            names.append(name)
    end_run()
    return tuple(steps)


async def initialise(form: FormInterpretation, parameters: Object | None) -> None:
    """Declares a dialog's variables; those that `parameters` has, a subdialog's, get their values.

    Raises `error.semantic` for a parameter that there is no `<var>` for.
    """
    engine, variables = form.scopes.engine, form.scopes.scope("dialog")
    if form.dialog.name == "menu":
        engine.set_undefined(variables, "(menu)")
        form.add_item(form.dialog, "(menu)")
        return
    missing = set() if parameters is None else set(engine.keys(parameters))
    for step in _steps(form.dialog):
        if isinstance(step, _Declared):
            engine.declare(variables, *step.variables)
            for element, variable in step.items:
                form.add_item(element, variable)
            given = missing.intersection(step.names)
        else:
            element, variable = step
            given = missing.intersection([variable] if element.name == "var" else [])
            try:
                await _take(element, variable, form, is_given=bool(given))
            except VoiceXmlEvent as event:
                raise event.at(form.document.uri, element.line) from None
        for name in given:
            assert parameters is not None, "without parameters none is missing"
            engine.copy(parameters, name, variables, name)
        missing -= given
    if missing:
        message = f"the subdialog has no <var> for the parameter {min(missing)!r}"
        raise VoiceXmlEvent("error.semantic", message, line=form.dialog.line)


async def _take(
    element: Element, variable: str, form: FormInterpretation, *, is_given: bool
) -> None:
    """Initialises what takes more than to be declared; the expression of what `is_given` is not
    evaluated."""
    scopes, properties = form.scopes, form.context.properties(form.dialog)
    expression = None if is_given else element.attributes.get("expr")
    if element.name == "script":
        await run_script(element, form.context, form.document, properties)
    elif element.name == "data":
        await run_data(element, form.context, form.document, properties)
    elif element.name == "var" or element.get("name"):
        scopes.declare(variable, expression)
    elif expression is not None:
        scopes.engine.define(scopes.scope("dialog"), variable, expression, scopes.chain)
    if element.name in FORM_ITEMS:
        form.add_item(element, variable)
