"""Form items that are no mere wait for input: blocks, transfers (subdialogs: test_context)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from tests.interpreter.harness import Web, call, heard, records, thrown, vxml, yes
from vxml_server.interpreter import (
    InputKind,
    InputResult,
    Json,
    ListenRequest,
    Outcome,
    Prompt,
    Recognition,
    Session,
    TransferRequest,
    TransferResult,
)
from vxml_server.interpreter.platform import SpeechSegment

# Blocks ------------------------------------------------------------------------------------------


async def test_a_block_is_visited_before_its_content_is_executed() -> None:
    result = await call(
        '<form><block name="b"><if cond="b">once</if><throw event="a"/></block><catch event="a"/>'
        "</form>"
    )
    assert heard(result) == ["once"]


# Transfers ---------------------------------------------------------------------------------------


@dataclass
class Exchange:
    """A platform that connects, and ends as it is told."""

    result: TransferResult
    requests: list[TransferRequest] = field(default_factory=list)
    played: list[str] = field(default_factory=list)
    hung_up: bool = False

    def now(self) -> float:
        return 0.0

    async def answer(self) -> None:
        """Nothing to be done."""

    async def listen(self, request: ListenRequest) -> InputResult:
        return InputResult(InputKind.HANGUP)

    async def play(self, prompts: Sequence[Prompt]) -> None:
        self.played += [
            segment.text
            for prompt in prompts
            for segment in prompt.segments
            if isinstance(segment, SpeechSegment)
        ]

    async def transfer(self, request: TransferRequest) -> TransferResult:
        self.requests.append(request)
        if self.result.outcome.startswith("connection."):
            self.hung_up = True
        if self.result.recognition is not None:
            (active,) = request.grammars
            recognition = Recognition("stop", 0.8, "stop", "voice", active)
            return TransferResult(self.result.outcome, self.result.duration, recognition)
        return self.result

    async def disconnect(self, namelist: dict[str, Json]) -> None:
        self.hung_up = True


async def transferred(content: str, result: TransferResult) -> tuple[Exchange, Outcome]:
    exchange = Exchange(result)
    session = Session(exchange, Web({"main.vxml": vxml(content)}))
    return exchange, await session.run("http://test/main.vxml")


FAR_END = TransferResult("far_end_disconnect", 12.5)


async def test_a_transfer_asks_for_what_its_attributes_say() -> None:
    exchange, _ = await transferred(
        '<property name="bargein" value="false"/><form><block>Hello.</block>'
        '<transfer name="t" bridge="true" destexpr="\'tel:\' + 1" connecttimeout="9s" maxtime="60s"'
        ' transferaudio="wait.wav" aaiexpr="1 + 1" xml:lang="fr"><prompt>Hold on.</prompt>'
        f"{yes(word='stop')}</transfer></form>",
        FAR_END,
    )
    (asked,) = exchange.requests
    assert (asked.dest, asked.type, asked.aai, asked.lang) == ("tel:1", "bridge", "2", "fr")
    assert (asked.connect_timeout, asked.max_time) == (9.0, 60.0)
    assert asked.transfer_audio is not None
    assert asked.transfer_audio.uri == "http://test/wait.wav"
    assert [prompt.segments[0].text for prompt in asked.prompts] == ["Hello.", "Hold on."]  # type: ignore[union-attr]
    assert [active.scope for active in asked.grammars] == ["transfer"]


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ("", "blind"),
        ('bridge="false"', "blind"),
        ('bridge="true"', "bridge"),
        ('type="bridge"', "bridge"),
        ('type="blind"', "blind"),
        ('type="consultation"', "consultation"),
    ],
)
async def test_a_transfer_has_a_type_and_listens_only_when_it_bridges(
    attributes: str, kind: str
) -> None:
    exchange, _ = await transferred(
        f'<link event="x" dtmf="1"/><form><transfer dest="tel:1" aai="a" {attributes}>'
        f"{yes()}</transfer></form>",
        FAR_END,
    )
    (asked,) = exchange.requests
    assert (asked.type, asked.aai) == (kind, "a")
    assert (asked.connect_timeout, asked.max_time, asked.transfer_audio) == (30.0, 0.0, None)
    assert len(asked.grammars) == (1 if kind == "bridge" else 0)


async def test_a_bridge_fills_the_item_and_says_how_long_it_was() -> None:
    _, outcome = await transferred(
        '<form><transfer name="t" type="bridge" dest="tel:1"><filled>'
        '<exit expr="[t, t$.duration, typeof t$.utterance]"/></filled></transfer></form>',
        FAR_END,
    )
    assert outcome.value == ["far_end_disconnect", 12.5, "undefined"]


async def test_a_caller_who_ends_the_bridge_is_recognised() -> None:
    _, outcome = await transferred(
        f'<form><transfer name="t" type="bridge" dest="tel:1">{yes(word="stop")}<filled><exit '
        'expr="[t, t$.utterance, t$.inputmode, lastresult$.utterance, lastresult$.confidence]"/>'
        "</filled></transfer></form>",
        TransferResult("near_end_disconnect", 3.0, Recognition("", 1.0, None, "voice", None)),
    )
    assert outcome.value == ["near_end_disconnect", "stop", "voice", "stop", 0.8]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ("connection.disconnect.transfer", "disconnect"),
        ("connection.disconnect.hangup", "hangup"),
        ("error.connection.noroute", "exit"),
        ("error.unsupported.transfer.consultation", "exit"),
    ],
)
async def test_a_transfer_may_end_in_an_event_and_leaves_the_item_unfilled(
    event: str, reason: str
) -> None:
    _, outcome = await transferred(
        '<form><transfer name="t" type="consultation" dest="tel:1"><filled>no</filled>'
        '<catch><exit expr="_event + _message + t"/></catch></transfer></form>',
        TransferResult(event, message="!"),
    )
    assert (outcome.reason, outcome.value) == (reason, f"{event}!undefined")


async def test_after_a_transfer_that_takes_the_caller_away_nothing_is_listened_to() -> None:
    result = await call(
        '<form><transfer dest="tel:1"><catch event="connection.disconnect.transfer">'
        f'<goto next="#g"/></catch></transfer></form><form id="g"><block><log expr="1"/></block>'
        f'<field name="f">{yes()}</field><block><log expr="2"/></block></form>'
    )
    assert [record["text"] for record in records(result, "log")] == ["1"]
    assert thrown(result) == ["connection.disconnect.transfer"]
    assert result.outcome.reason == "disconnect"


async def test_a_transfer_after_the_call_has_ended_is_not_tried() -> None:
    exchange, outcome = await transferred(
        '<form><block><disconnect/></block><catch event="connection"><goto next="#g"/></catch>'
        '</form><form id="g"><transfer dest="tel:1"/></form>',
        FAR_END,
    )
    assert exchange.requests == []
    assert outcome.reason == "disconnect"


async def test_an_error_in_a_transfer_does_not_lose_what_was_to_be_heard() -> None:
    exchange, _ = await transferred(
        '<form><block>Hello.</block><transfer destexpr="nonsense"><catch><exit/></catch></transfer>'
        "</form>",
        FAR_END,
    )
    assert exchange.played == ["Hello."]


async def test_a_transfer_with_a_condition_that_fails_is_passed_over() -> None:
    exchange, _ = await transferred('<form><transfer dest="tel:1" cond="false"/></form>', FAR_END)
    assert exchange.requests == []


@pytest.mark.parametrize(
    ("ended", "expected"),
    [('dtmf: "*"', ["*", "dtmf"]), ("say: come back", ["come back", "voice"]), ('dtmf: "1"', [])],
)
async def test_the_input_that_ends_a_bridge_is_matched_with_its_grammars(
    ended: str, expected: list[str]
) -> None:
    key, word = yes(word="*", kind="dtmf"), yes(word="come back")
    document = (
        f'<form><transfer name="t" dest="tel:+331" bridge="true">{key}{word}</transfer>'
        '<block><exit expr="[t$.utterance, t$.inputmode].filter(v => v !== undefined)"/></block>'
        "</form>"
    )
    result = await call(document, f"transfer: near_end_disconnect\n  {ended}")
    assert result.outcome.value == expected


async def test_type_and_bridge_exclude_one_another() -> None:
    document = '<form><transfer dest="tel:+331" bridge="true" type="blind"/></form>'
    assert thrown(await call(document)) == ["error.badfetch"]
