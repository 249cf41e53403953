"""Agents at the telephone: the shipped application with the platform's object behind it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.apps.judging import complaints
from tests.queues.contact_centre import ContactCentre, queue
from vxml_server.app.agent_object import CLASSID, AgentObject, calling_line
from vxml_server.clock import SystemClock
from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import Fetcher
from vxml_server.interpreter import ObjectCall, ObjectParameter
from vxml_server.interpreter.dialogue import run_dialogue
from vxml_server.interpreter.script import Case, parse_cases
from vxml_server.queues import Agent, Board, Presence, TooManyTries
from vxml_server.queues.transitions import OfferEvent
from vxml_server.settings import FetchSettings
from vxml_server.store import StoreError

APPS = Path(__file__).parents[2] / "apps"
FILES = Path(__file__).parent / "agents"
PIN = "4711"


class Centre:
    """Two agents: 7, signed out, and 8 with the line ann, who wraps up."""

    def __init__(self) -> None:
        self.world = ContactCentre(
            [
                Agent("7", line="seven"),
                Agent("anne", line="ann", number="8", description="Ann"),
                Agent("bob", line="shared"),
                Agent("cyd", line="shared"),
            ],
            [queue("sales", ["anne"])],
        )
        self.is_locked = False
        self.database_answers = True

    @property
    def board(self) -> Board:
        return self.world.board

    async def present(self, agent: str, presence: Presence, reason: str = "") -> None:
        if not self.database_answers:
            raise StoreError("away")
        self.world.present(agent, presence, reason)

    async def release(self, agent: str) -> bool:
        return self.world.release(agent)

    async def check_pin(self, agent: str, pin: str) -> bool:
        if self.is_locked:
            raise TooManyTries(60)
        return agent in self.board.agents and pin == PIN

    def wrap_up(self) -> None:
        """Agent 8 has just had a call."""
        self.world.sign_in("anne")
        self.world.call("sales")
        self.world.make_offers()
        offer = self.world.offer("anne")
        self.world.happen(
            offer, OfferEvent.RING, OfferEvent.ANSWER, OfferEvent.BRIDGE, OfferEvent.HANG_UP
        )


async def ask(made: AgentObject, operation: str, **parameters: str) -> object:
    given = {"operation": operation, **parameters}
    values = {name: ObjectParameter(value) for name, value in given.items()}
    return await made(ObjectCall(CLASSID, values))


def cases() -> list[tuple[str, Case]]:
    return [
        (language, case)
        for language in ("en", "fr")
        for case in parse_cases((FILES / f"{language}.test.yaml").read_bytes(), language)
    ]


@pytest.mark.parametrize(
    ("language", "case"), cases(), ids=[f"{language}: {case.name}" for language, case in cases()]
)
async def test_the_application_answers_as_its_dialogue_says(language: str, case: Case) -> None:
    centre = Centre()
    centre.wrap_up()
    line = "ann" if "ann" in case.script.remote else ""
    fetcher = Fetcher(FetchSettings(files=(APPS,)), SystemClock())
    try:
        result = await run_dialogue(
            str(APPS / f"agents/{language}/index.vxml"),
            case.script,
            fetcher.session(),
            objects={CLASSID: AgentObject(centre, line)},
        )
    finally:
        await fetcher.close()
    assert complaints(result) == []
    thrown = [str(record["name"]) for record in result.records if record["event"] == "throw"]
    assert [name for name in thrown if name.startswith("error.")] == []


async def test_nothing_is_told_or_changed_before_the_pin() -> None:
    made = AgentObject(Centre(), "ann")
    for operation in ("state", "sign-in", "sign-out", "break", "wrapped-up"):
        with pytest.raises(VoiceXmlEvent, match="nobody has said who calls") as raised:
            await ask(made, operation)
        assert raised.value.name == "error.vxml-server.agent.unidentified"


async def test_a_wrong_pin_takes_the_identity_away_again() -> None:
    made = AgentObject(Centre(), "")
    assert await ask(made, "identify", number="7", pin=PIN) == {"ok": True, "reason": ""}
    assert await ask(made, "identify", number="8", pin="0") == {"ok": False, "reason": "wrong"}
    with pytest.raises(VoiceXmlEvent):
        await ask(made, "state")


async def test_after_three_wrong_tries_the_right_pin_does_not_help_in_this_call() -> None:
    made = AgentObject(Centre(), "ann")
    for reason in ("wrong", "wrong", "locked", "locked"):
        assert await ask(made, "identify", pin="0000") == {"ok": False, "reason": reason}
    assert await ask(made, "identify", pin=PIN) == {"ok": False, "reason": "locked"}


async def test_an_agent_who_is_locked_everywhere_is_locked_here() -> None:
    centre = Centre()
    centre.is_locked = True
    made = AgentObject(centre, "ann")
    assert await ask(made, "identify", pin=PIN) == {"ok": False, "reason": "locked"}


async def test_a_line_of_two_agents_and_a_number_of_nobody_are_nobody() -> None:
    made = AgentObject(Centre(), "shared")
    assert await ask(made, "who") == {"known": False, "description": ""}
    for number in ("", "99", "bo"):
        found = await ask(AgentObject(Centre(), "shared"), "identify", number=number, pin=PIN)
        assert found == {"ok": False, "reason": "wrong"}


async def test_a_number_counts_before_the_line_and_instead_of_the_name() -> None:
    made = AgentObject(Centre(), "ann")
    assert await ask(made, "identify", number="7", pin=PIN) == {"ok": True, "reason": ""}
    assert await ask(made, "sign-in") == {"state": "available", "reason": ""}
    assert await ask(made, "identify", number="anne", pin=PIN) == {"ok": False, "reason": "wrong"}


async def test_what_cannot_be_done_is_an_event_of_the_document() -> None:
    centre = Centre()
    made = AgentObject(centre, "ann")
    with pytest.raises(VoiceXmlEvent, match="operation: expected who"):
        await ask(made, "dance")
    await ask(made, "identify", pin=PIN)
    centre.database_answers = False
    with pytest.raises(VoiceXmlEvent) as raised:
        await ask(made, "sign-out")
    assert raised.value.name == "error.vxml-server.agent.unavailable"


@dataclass
class Incoming:
    """As much of an incoming call as says whose telephone it is."""

    user: str
    remote_uri: str
    source: tuple[str, int] = ("10.0.0.9", 5060)


@pytest.mark.parametrize(
    ("incoming", "line"),
    [
        (Incoming("ann", "sip:bob@x"), "ann"),
        (Incoming("", "sip:ann@x"), "ann"),
        (Incoming("", "sip:bob@x"), ""),
        (Incoming("", "sip:ann@x", ("10.0.0.8", 5060)), ""),
        (Incoming("", "tel:+33"), ""),
        (Incoming("", "sip:x"), ""),
    ],
)
def test_a_telephone_is_known_by_its_password_or_by_where_it_registered(
    incoming: Incoming, line: str
) -> None:
    def is_at(user: str, source: tuple[str, int]) -> bool:
        return (user, source) == ("ann", ("10.0.0.9", 5060))

    assert calling_line(incoming, is_at) == line


def test_both_languages_have_the_same_documents_and_dialogues() -> None:
    names = [[case.name for of, case in cases() if of == language] for language in ("en", "fr")]
    assert names[0] == names[1] != []
    folders = [{path.name for path in (APPS / "agents" / of).iterdir()} for of in ("en", "fr")]
    assert folders[0] == folders[1]
