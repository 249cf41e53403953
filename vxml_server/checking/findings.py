"""What a check finds, and the catalogue of everything that it may find.

Each code has one severity and one sentence; a finding's own message says what it is about. What
must hold: `error` is what ends a call, or a path of it, in an error; `warning` is what cannot be
meant; `info` is what is worth a look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something found in a file; `line` and `column` count from 1."""

    path: str
    line: int
    column: int
    code: str
    severity: Severity
    message: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}"
        return f"{place}: {self.code} {self.severity} {self.message}"


@dataclass(frozen=True, slots=True)
class Code:
    severity: Severity
    description: str


CODES: Mapping[str, Code] = {
    # Reading
    "unreadable": Code("error", "The file cannot be read."),
    "malformed": Code("error", "The file is not well-formed, or no document."),
    "space-before-declaration": Code("warning", "Space stands before the XML declaration."),
    "wrong-encoding": Code("warning", "The document is not in the encoding it declares."),
    # The schema
    "wrong-namespace": Code("warning", "An element is not in the namespace of VoiceXML."),
    "unknown-element": Code("error", "An element is not one of VoiceXML."),
    "foreign-element": Code("warning", "An element of another namespace is passed over."),
    "misplaced-element": Code("warning", "An element stands where it may not."),
    "misplaced-text": Code("warning", "Text stands where none may."),
    "unknown-attribute": Code("warning", "An element does not have this attribute."),
    "misspelt-attribute": Code("warning", "An attribute is not written as it is called."),
    "missing-attribute": Code("error", "An attribute is missing."),
    "conflicting-attributes": Code("error", "Attributes exclude each other."),
    "bad-value": Code("error", "An attribute has a value that it may not have."),
    "loose-value": Code("warning", "A value is understood, but not as it should be written."),
    "wrong-order": Code("error", "Elements are not in the order that they must have."),
    "deprecated": Code("warning", "A form of VoiceXML 1.0."),
    "refused": Code("error", "The interpreter refuses to load the document."),
    # Names and references
    "duplicate-name": Code("error", "A name is given twice."),
    "duplicate-variable": Code("warning", "A variable is declared twice in one scope."),
    "missing-dialog": Code("error", "A reference leads to a dialog that is not there."),
    "missing-item": Code("error", "A reference leads to a form item that is not there."),
    "missing-file": Code("error", "A file that is referred to is not there."),
    "missing-audio": Code("warning", "A sound is not there; its fallback is heard."),
    "bad-root": Code("error", "The application root document cannot be used."),
    # Ways
    "unreachable-dialog": Code("warning", "Nothing leads to the dialog."),
    "unreachable-element": Code("warning", "What stands before always leaves."),
    "shadowed-handler": Code("warning", "Another handler always comes first."),
    "empty-dialog": Code("info", "The dialog has nothing to do."),
    "dead-end": Code("warning", "The caller cannot get out of the dialog."),
    # What is heard
    "unheard-prompt": Code("warning", "Nobody is there to hear it."),
    "first-prompt-missing": Code("warning", "Nothing is said on the first visit."),
    "meaningless-count": Code("warning", "Prompts are not counted here."),
    "silent-handler": Code("warning", "The caller hears nothing and is not asked again."),
    "audio-without-fallback": Code("info", "Nothing is said when the sound cannot be played."),
    "no-language": Code("warning", "The language of the document is left to the platform."),
    "no-bargein": Code("warning", "The caller must listen to the whole menu."),
    "no-escalation": Code("info", "The caller hears the same however often nothing is understood."),
    # Input
    "bad-grammar": Code("error", "The grammar cannot be used."),
    "grammar-never-matches": Code("warning", "Nothing that a caller does matches the grammar."),
    "grammar-not-listened-to": Code("warning", "The grammar's mode is switched off here."),
    "no-grammar": Code("warning", "Nothing that a caller does fills the field."),
    "never-chosen": Code("warning", "Nothing that a caller does chooses it."),
    "duplicate-key": Code("warning", "A key means two things."),
    # Values
    "bad-script": Code("error", "ECMAScript does not understand this."),
    "undefined-variable": Code("error", "The variable is nowhere declared."),
    "assignment-in-cond": Code("warning", "A condition assigns where it should compare."),
    "submit-all": Code("info", "All input items are sent, whatever is added later."),
    "unknown-property": Code("warning", "The property is not one of VoiceXML."),
}
