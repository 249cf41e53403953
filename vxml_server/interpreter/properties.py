"""Properties: section 6.3 of VoiceXML 2.0, and what they mean for a fetch (section 6.1).

A property set on an element holds for the element and everything in it, unless something nearer
sets it again. What is asked of `Properties` is always answered: by the nearest `<property>`, or by
the platform's default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import FetchRequest
from vxml_server.interpreter.document import Element
from vxml_server.interpreter.platform import InputProperties, Mode
from vxml_server.interpreter.recordings import media_type_of
from vxml_server.interpreter.times import seconds

DEFAULTS: Mapping[str, str] = {
    "audiofetchhint": "prefetch",
    "bargein": "true",
    "bargeintype": "speech",
    "completetimeout": "0.5s",
    "confidencelevel": "0.5",
    "datafetchhint": "safe",
    "documentfetchhint": "safe",
    "fetchaudio": "",
    "fetchaudiodelay": "2s",
    "fetchaudiominimum": "5s",
    "fetchtimeout": "10s",
    "grammarfetchhint": "prefetch",
    "incompletetimeout": "1s",
    "inputmodes": "dtmf voice",
    "interdigittimeout": "3s",
    "maxnbest": "1",
    "maxspeechtimeout": "20s",
    "objectfetchhint": "prefetch",
    "recordutterance": "false",
    "scriptfetchhint": "prefetch",
    "sensitivity": "0.5",
    "speedvsaccuracy": "0.5",
    "termchar": "#",
    "termtimeout": "0s",
    "timeout": "5s",
    "universals": "none",
    "vxml-server.trace": "false",
}


# The property by which an application has its calls traced.
TRACE = "vxml-server.trace"
UNIVERSALS = ("cancel", "exit", "help")


class Properties:
    """The properties that hold at one place: the elements around it, the nearest first."""

    def __init__(self, elements: Iterable[Element], defaults: Mapping[str, str] = DEFAULTS) -> None:
        self._values: dict[str, tuple[str, Element | None]] = {}
        for element in elements:
            for declared in element.named("property"):
                # Of two in one element the last holds; of two elements the nearest.
                name = declared.get("name")
                known = self._values.get(name)
                if known is None or known[1] is element:
                    self._values[name] = (declared.get("value"), element)
        self._defaults = defaults
        # What was asked for before: a prompt, of which there are many, asks for both kinds.
        self._flags: dict[str, bool] = {}
        self._times: dict[str, float] = {}
        self._input: InputProperties | None = None

    def get(self, name: str) -> str:
        """The value, "" for a property that nobody set and that has no default."""
        if (found := self._values.get(name)) is not None:
            return found[0]
        return self._defaults.get(name, "")

    def flag(self, name: str) -> bool:
        found = self._flags.get(name)
        if found is None:
            text = self.get(name).strip().lower()
            if text not in {"true", "false"}:
                raise VoiceXmlEvent("error.semantic", f"property {name}: {text!r} is no boolean")
            found = self._flags[name] = text == "true"
        return found

    def time(self, name: str) -> float:
        """A time in seconds; a value that is none is error.semantic."""
        found = self._times.get(name)
        if found is None:
            try:
                found = self._times[name] = seconds(self.get(name))
            except ValueError as error:
                raise VoiceXmlEvent("error.semantic", f"property {name}: {error}") from None
        return found

    def optional_time(self, name: str) -> float | None:
        """A time or a plain number of seconds (`maxage`); None when nobody set it."""
        text = self.get(name).strip()
        if not text:
            return None
        try:
            return float(text) if text.isascii() and text.isdigit() else seconds(text)
        except ValueError as error:
            raise VoiceXmlEvent("error.semantic", f"property {name}: {error}") from None

    def fraction(self, name: str) -> float:
        """A number from 0 to 1, as authors write it ("0.5") or in percent ("50")."""
        text = self.get(name)
        try:
            number = float(text)
        except ValueError:
            message = f"property {name}: {text!r} is not a number from 0.0 to 1.0"
            raise VoiceXmlEvent("error.semantic", message) from None
        return min(1.0, max(0.0, number / 100 if number > 1 else number))

    def universals(self) -> tuple[str, ...]:
        """Which commands every dialog has (section 6.3.6)."""
        listed = self.get("universals").split()
        if listed == ["all"]:
            return UNIVERSALS
        if unknown := set(listed) - {*UNIVERSALS, "none"}:
            message = f"property universals: {min(unknown)!r} is no command"
            raise VoiceXmlEvent("error.semantic", message)
        return tuple(event for event in UNIVERSALS if event in listed)

    def input_properties(self) -> InputProperties:
        """All that a wait for input needs to know."""
        if self._input is None:
            self._input = self._read_input_properties()
        return self._input

    def _read_input_properties(self) -> InputProperties:
        listed = self.get("inputmodes").split()
        if unknown := set(listed) - {"dtmf", "voice"}:
            message = f"property inputmodes: {min(unknown)!r} is neither dtmf nor voice"
            raise VoiceXmlEvent("error.semantic", message)
        modes: frozenset[Mode] = frozenset(mode for mode in ("dtmf", "voice") if mode in listed)
        try:
            nbest = max(1, int(self.get("maxnbest")))
        except ValueError:
            message = f"property maxnbest: {self.get('maxnbest')!r} is not a whole number"
            raise VoiceXmlEvent("error.semantic", message) from None
        return InputProperties(
            timeout=self.time("timeout"),
            interdigit_timeout=self.time("interdigittimeout"),
            term_timeout=self.time("termtimeout"),
            term_char=self.get("termchar").strip(),
            input_modes=modes,
            confidence_level=self.fraction("confidencelevel"),
            sensitivity=self.fraction("sensitivity"),
            speed_vs_accuracy=self.fraction("speedvsaccuracy"),
            complete_timeout=self.time("completetimeout"),
            incomplete_timeout=self.time("incompletetimeout"),
            max_speech_timeout=self.time("maxspeechtimeout"),
            max_nbest=nbest,
            utterance_type=(
                media_type_of(self.get("recordutterancetype"))
                if self.flag("recordutterance")
                else ""
            ),
        )


class Defaults:
    """The properties of a platform: those of the recommendation, and what an operator sets.

    One object for the same values, so that what follows from them is known to all calls.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values: Mapping[str, str] = MappingProxyType({**DEFAULTS, **values})


@lru_cache(maxsize=100)
def _defaults(given: frozenset[tuple[str, str]]) -> Defaults:
    return Defaults(dict(given))


def defaults(given: Mapping[str, str]) -> Defaults:
    """The defaults where an operator sets the properties in `given`."""
    return _defaults(frozenset(given.items()))


def properties_at(elements: tuple[Element, ...], platform: Defaults) -> Properties:
    """The properties inside these elements, the nearest first; the same object for all calls."""
    known = elements[0].table(Properties)
    key = (elements[1:], platform)
    found: Properties | None = known.get(key)
    if found is None:
        if len(elements) > 1 and not elements[0].named("property"):
            # What an element says nothing about is as it is around it.
            found = properties_at(elements[1:], platform)
        else:
            found = Properties(elements, platform.values)
        known[key] = found
    return found


def fetch_request(
    element: Element,
    properties: Properties,
    kind: Literal["audio", "data", "document", "grammar", "script"],
    uri: str,
    *,
    base: str,
) -> FetchRequest:
    """The GET of an absolute `uri` for an element of the document `base` (section 6.1).

    Its limits are the element's fetchtimeout, maxage and maxstale, or else the properties for this
    kind of resource.
    """

    def limit(attribute: str, name: str) -> float | None:
        text = element.get(attribute)
        if not text:
            return properties.optional_time(name)
        # maxage and maxstale are whole seconds; fetchtimeout is a time designation.
        return seconds(text) if attribute == "fetchtimeout" else float(text)

    return FetchRequest(
        uri,
        timeout=limit("fetchtimeout", "fetchtimeout"),
        maxage=limit("maxage", f"{kind}maxage"),
        maxstale=limit("maxstale", f"{kind}maxstale"),
        base=base,
    )
