"""Part of the W3C's implementation-report tests, where their folder is present.

Each test is a VoiceXML document that says "pass" or "fail". What it asks of a human caller ("Say
'Chicago'.", "Hang up now.") is done by `ObedientCaller`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from lxml import etree

from tests.interpreter.harness import Web
from vxml_server.interpreter import (
    InputKind,
    InputResult,
    Json,
    ListenRequest,
    Outcome,
    Prompt,
    Recognition,
    Segment,
    Session,
    SpeechSegment,
    TransferRequest,
    TransferResult,
)

W3C = Path(__file__).parents[3] / "shared" / "w3c"
pytestmark = pytest.mark.skipif(not W3C.is_dir(), reason=f"the W3C's tests are not in {W3C}")

HOME = "http://w3c/"
MAX_WAITS = 15


@dataclass(frozen=True)
class Case:
    """A test: its folder and start document, the outcome of its transfer, what must be heard."""

    folder: str
    document: str
    transfer: str = "far_end_disconnect"
    hears: str = r"\bpass$"


# By folder and document; `.txml` is left out.
_PLAIN = [
    "vxml20/2/a002",
    "vxml20/12/a12a",
    "vxml20/19/a19",
    "vxml20/25/a25a",
    "vxml20/32/a32",
    "vxml20/43/assert_43_1",
    "vxml20/45/assert_45_1",
    "vxml20/56/a56-leaf",
    "vxml20/59/a59-leaf",
    "vxml20/59/a59leaf",
    "vxml20/62/a62-leaf",
    "vxml20/73/a73-var-driver",
    "vxml20/75/a75-var-driver",
    "vxml20/82/a82-driver",
    "vxml20/85/a85-driver",
    "vxml20/87/a87-driver",
    "vxml20/93/assert93",
    "vxml20/111/assert111",
    "vxml20/143/assert143",
    "vxml20/154/assert154",
    "vxml20/232/232",
    "vxml20/235/235",
    "vxml20/259/259",
    "vxml20/261/261",
    "vxml20/263/263",
    "vxml20/268/subdialog268",
    "vxml20/288/288",
    "vxml20/336/336",
    "vxml20/338/338",
    "vxml20/370/370",
    "vxml20/373/373",
    "vxml20/377/377",
    "vxml20/390/assertion-390",
    "vxml20/390/assertion390",
    "vxml20/398/assertion-398",
    "vxml20/400/400",
    "vxml20/405/405",
    "vxml20/408/408",
    "vxml20/432/432",
    "vxml20/510/510",
    "vxml20/512/512",
    "vxml20/514/514",
    "vxml20/516/516",
    "vxml20/518/518",
    "vxml20/523/523",
    "vxml20/525/525",
    "vxml20/527/527a1",
    "vxml20/529/529a1",
    "vxml20/531/531a1",
    "vxml20/533/533",
    "vxml20/535/535",
    "vxml20/545/545m",
    "vxml20/552/552",
    "vxml20/555/555",
    "vxml20/558/558",
    "vxml20/560/560",
    "vxml20/562/562",
    "vxml20/612/612",
    "vxml20/621/subdialog621",
    "vxml20/626/a626",
    "vxml20/654/a654-driver",
    "vxml20/656/a656",
    "vxml20/1002/1002",
    "vxml20/1004/1004",
    "vxml20/1006/1006",
    "vxml20/1008/1008",
    "vxml20/1037/1037",
    "vxml20/1135/1135",
    "vxml20/1152/1152",
    "vxml20/1158/subdialog1158main",
    "vxml20/1162/1162",
    "vxml21/1/1",
    "vxml21/3/3a",
    "vxml21/5/5",
    "vxml21/8/8a",
    "vxml21/10/10",
]
CASES = [
    *(Case(*path.rsplit("/", 1)) for path in _PLAIN),
    # These are for a human to judge: nothing after the end, or the choices in their order.
    Case("vxml20/113", "assert113", hears="^$"),
    Case("vxml20/165", "assert165", hears="^$"),
    Case("vxml20/216", "216", hears="alpha, bravo, charlie, delta"),
    Case("vxml20/218", "218", hears="alpha, bravo, charlie, delta"),
    # These need a far end, or a caller, who does what the test is about.
    Case("vxml20/290", "290", transfer="near_end_disconnect"),
    Case("vxml20/294", "294", transfer="connection.disconnect.transfer"),
    Case("vxml20/296", "296", transfer="maxtime_disconnect"),
    Case("vxml20/300", "300", transfer="connection.disconnect.hangup"),
    Case("vxml20/302", "302", transfer="network_busy"),
]
# What cannot pass, and why.
IMPOSSIBLE = {
    "vxml20/241": "its grammar's tag is of a draft of 2003: `var a='valA'` makes no slot",
    "vxml20/333": "the stylesheet spells a word in two ways, and the test compares the spellings",
    "vxml20/394": "edited by others: compares an undefined variable with the string 'undefined'",
    "vxml20/1174": "only its grammar is here",
}


@cache
def pages() -> dict[str, bytes]:
    """All documents by URI, with `conf:` elements turned into VoiceXML, under both suffixes."""
    transform = etree.XSLT(etree.parse(W3C / "irtest.xslt"))
    found: dict[str, bytes] = {}
    for path in W3C.glob("vxml2?/*/*"):
        uri = HOME + path.relative_to(W3C).as_posix()
        if path.suffix == ".txml":
            try:
                page = str(transform(etree.parse(path))).encode()
            except etree.XMLSyntaxError:  # some are not well-formed, and meant so
                page = path.read_bytes()
            found[uri] = found[uri.removesuffix(".txml") + ".vxml"] = page
        elif path.suffix != ".vxml":
            found[uri] = path.read_bytes()
    return found


@dataclass
class ObedientCaller:
    """A caller who does what the prompts say, and stays to hear the last of them."""

    transfer_outcome: str
    heard: list[str] = field(default_factory=list)
    waits: int = 0
    hung_up: bool = False

    def now(self) -> float:
        return 0.0

    async def answer(self) -> None:
        """Nothing to be done."""

    async def play(self, prompts: Sequence[Prompt]) -> None:
        self.heard += filter(None, (_words(prompt.segments) for prompt in prompts))

    async def disconnect(self, namelist: dict[str, Json]) -> None:
        """Goes on listening."""

    async def transfer(self, request: TransferRequest) -> TransferResult:
        await self.play(request.prompts)
        return TransferResult(self.transfer_outcome, 3.0)

    async def listen(self, request: ListenRequest) -> InputResult:
        asked = _words([segment for prompt in request.prompts for segment in prompt.segments])
        self.heard.append(asked)
        self.waits += 1
        if "Hang up" in asked or self.waits > MAX_WAITS:
            self.hung_up = True
            return InputResult(InputKind.HANGUP)
        if "Say nothing" in asked:
            return InputResult(InputKind.NOINPUT)
        if keys := re.findall(r"Press '?([0-9*#]+)", asked):
            return _answer(request, "dtmf", keys[-1])
        if words := re.findall(r"(?:Say|Speak) '?([A-Za-z][A-Za-z ]*)", asked):
            return _answer(request, "voice", words[-1])
        return InputResult(InputKind.NOINPUT)


def _words(segments: Sequence[Segment]) -> str:
    """What is heard of segments when no audio file can be had."""
    return " ".join(
        segment.text if isinstance(segment, SpeechSegment) else _words(segment.fallback)
        for segment in segments
    ).strip()


def _answer(request: ListenRequest, mode: str, said: str) -> InputResult:
    for active in request.grammars:
        if active.mode == mode and (match := active.grammar.match(said.lower())) is not None:
            best = Recognition(match.utterance, 1.0, match.interpretation, active.mode, active)
            return InputResult(InputKind.MATCH, (best,))
    return InputResult(InputKind.NOMATCH)


async def run(case: Case) -> tuple[Outcome, str]:
    """The outcome, and all that was heard."""
    caller = ObedientCaller(case.transfer)
    session = Session(caller, Web(pages()))
    outcome = await session.run(f"{HOME}{case.folder}/{case.document}.txml")
    return outcome, " | ".join(caller.heard)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.folder}/{case.document}")
async def test_a_w3c_test_passes(case: Case) -> None:
    outcome, heard = await run(case)
    assert re.search(case.hears, heard), (heard, outcome)
    assert not re.search(r"\bfail\b", heard), heard


def test_no_test_of_the_sample_is_left_out() -> None:
    present = {
        f"{version}/{folder.name}"
        for version in ("vxml20", "vxml21")
        for folder in (W3C / version).iterdir()
    }
    assert present == {case.folder for case in CASES} | set(IMPOSSIBLE)
