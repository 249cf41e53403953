"""A call from the INVITE to its record, whatever happens on the way."""

from __future__ import annotations

import asyncio
import logging

import pytest
import structlog

from tests.calls.applications import ASK, DISCONNECT, EXIT, GOODBYE, ending, logged, transfer
from tests.calls.fake_sip import FakeIncoming
from tests.calls.world import START, World, vxml
from vxml_server.calls.call import FINAL_PROCESSING, connection_of
from vxml_server.sip import EndCause

# The way of a call -------------------------------------------------------------------------------


async def test_a_call_is_answered_spoken_to_hung_up_and_recorded() -> None:
    world = World(EXIT)
    call = FakeIncoming()
    await world.offer(call)
    assert call.sent == ["180", "200"]
    await world.elapse(0.5)
    call.ack()
    await world.elapse(5)
    assert call.sent == ["180", "200", "BYE"]
    end = await world.end()
    assert ending(end) == ("exit", "application")
    assert end.duration_s == pytest.approx(0.5 + 1.0 + 0.2, abs=0.05)
    assert (end.packets_lost, end.jitter_ms) == (3, 1.23)
    assert [(r.direction, r.from_uri, r.application) for r in world.store.started] == [
        ("inbound", "sip:alice@phone.test", START)
    ]
    assert [codec for _, codec in world.store.answered] == ["PCMA"]
    assert world.store.names() == ["vxml.end"]


async def test_a_call_rings_until_its_application_is_there() -> None:
    world = World(EXIT)
    world.fetcher.delay = 3.0
    call = FakeIncoming()
    await world.offer(call)
    await world.elapse(2.9)
    assert call.sent == ["180"]
    await world.elapse(0.2)
    assert call.sent == ["180", "200"]
    call.ack()
    await world.end()


async def test_keys_fill_a_field() -> None:
    world = World(ASK)
    await world.ring()
    await world.elapse(0.5)
    world.caller.press("42")
    assert ending(await world.end()) == ("exit", "application")
    assert logged(world) == ["pin 42"]
    assert len(world.caller.played) == 1


async def test_the_record_of_a_running_call_is_complete_but_for_its_end() -> None:
    world = World(ASK)
    call = await world.ring()
    record = world.exchange.active()[0]
    assert world.exchange.get(record.id) == record
    assert (record.codec, record.sip_call_id) == ("PCMA", call.sip_call_id)
    assert record.answered_at is not None
    assert record.ended_at is None
    call.bye()
    await world.end()
    assert world.exchange.get(record.id) is None


async def test_a_late_offer_is_answered_in_the_ack() -> None:
    world = World(EXIT)
    call = FakeIncoming(late_offer=True)
    await world.offer(call)
    call.ack(call.far.answer(call.answered_with))
    assert ending(await world.end()) == ("exit", "application")
    assert [codec for _, codec in world.store.answered] == ["PCMA"]


# Endings -----------------------------------------------------------------------------------------


async def test_a_caller_who_hangs_up() -> None:
    world = World(GOODBYE)
    call = await world.ring()
    await world.elapse(3)
    call.bye()
    end = await world.end()
    assert ending(end) == ("hangup", "caller")
    assert end.duration_s == pytest.approx(3.0, abs=0.05)
    assert logged(world) == ["gone"]


async def test_an_application_that_hangs_up() -> None:
    world = World(DISCONNECT)
    call = await world.ring()
    assert ending(await world.end()) == ("disconnect", "application")
    assert call.sent[-1] == "BYE"


async def test_an_application_that_is_not_there_is_a_sentence_and_an_error() -> None:
    world = World()
    call = await world.ring()
    assert call.sent == ["180", "200"]
    assert ending(await world.end()) == ("error", "platform")
    assert world.synthesizer.said[0].startswith("Sorry, a technical problem")


async def test_a_document_that_is_none_is_an_error() -> None:
    world = World("<vxml version='2.1'><nonsense>")
    await world.ring()
    assert ending(await world.end()) == ("error", "platform")


async def test_a_caller_who_gives_up_before_the_answer() -> None:
    world = World(EXIT)
    world.fetcher.delay = 10.0
    call = FakeIncoming()
    await world.offer(call)
    await world.elapse(2)
    call.cancel()
    await world.clock.settle()
    end = await world.end()
    assert ending(end) == ("hangup", "caller")
    assert end.duration_s == 0
    assert world.store.answered == []
    assert call.sent == ["180"]


async def test_a_caller_who_gives_up_before_anything_has_run() -> None:
    world = World(EXIT)
    call = FakeIncoming()
    call.listener = world.exchange.incoming(call)
    call.cancel()
    await world.clock.settle()
    assert ending(await world.end()) == ("hangup", "caller")
    assert world.store.answered == []


async def test_an_ack_that_never_comes_is_the_platform_s_hangup() -> None:
    world = World(EXIT)
    call = FakeIncoming()
    await world.offer(call)
    await world.elapse(32)
    assert call.state == "answered"
    call.final("ended", EndCause.ACK_TIMEOUT, "no ACK")
    end = await world.end()
    assert ending(end) == ("hangup", "platform")
    assert end.duration_s == pytest.approx(32.0)
    assert len(world.store.answered) == 1
    assert world.caller.played == []


async def test_a_late_offer_that_nobody_answers_is_the_platform_s_hangup() -> None:
    world = World(EXIT)
    call = FakeIncoming(late_offer=True)
    await world.offer(call)
    call.ack(None)
    assert ending(await world.end()) == ("hangup", "platform")
    assert call.sent[-1] == "BYE"


async def test_a_far_end_that_is_lost_is_the_platform_s_hangup() -> None:
    world = World(ASK)
    call = await world.ring()
    call.lose()
    assert ending(await world.end()) == ("hangup", "platform")


async def test_an_operator_hangs_up_and_the_application_may_clean_up() -> None:
    world = World(GOODBYE)
    call = await world.ring()
    assert world.exchange.hang_up(world.exchange.active()[0].id)
    await world.clock.settle()
    assert call.sent[-1] == "BYE"
    assert ending(await world.end()) == ("hangup", "platform")
    assert logged(world) == ["gone"]


async def test_an_operator_hangs_up_before_the_answer() -> None:
    world = World(EXIT)
    world.fetcher.delay = 10.0
    call = FakeIncoming()
    await world.offer(call)
    world.exchange.hang_up(world.exchange.active()[0].id)
    await world.clock.settle()
    assert call.sent == ["180", "603"]
    assert ending(await world.end()) == ("hangup", "platform")


async def test_final_processing_is_bounded() -> None:
    world = World(
        vxml(
            '<catch event="connection.disconnect"><submit next="slow.vxml"/></catch>'
            '<form><field name="pin" type="digits"/></form>'
        )
    )
    call = await world.ring()
    world.fetcher.delay = 1000.0
    call.bye()
    await world.elapse(FINAL_PROCESSING - 0.1)
    assert len(world.exchange.active()) == 1
    await world.elapse(0.2)
    end = await world.end()
    assert ending(end) == ("hangup", "caller")


async def test_final_processing_that_ends_leaves_no_timer() -> None:
    world = World(GOODBYE)
    call = await world.ring()
    call.bye()
    await world.end()
    assert world.clock.next_due() is None


async def test_a_defect_of_ours_lets_the_caller_go_and_is_logged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(EXIT)

    async def fail(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("vxml_server.interpreter.Session.run", fail)
    with structlog.testing.capture_logs() as logs:
        call = await world.ring()
        end = await world.end()
    assert ending(end) == ("error", "platform")
    assert call.sent == ["180", "603"]
    assert "the session failed" in [entry["event"] for entry in logs]


async def test_headers_that_cannot_be_told_to_the_application_end_in_an_error() -> None:
    world = World(EXIT)
    call = FakeIncoming()
    call.remote_uri = None
    with structlog.testing.capture_logs():
        await world.offer(call)
        if call.state == "answered":
            call.ack()
        await world.end()


async def test_a_call_that_is_abandoned_while_it_rings() -> None:
    world = World(EXIT)
    world.fetcher.delay = 10.0
    call = FakeIncoming()
    await world.offer(call)
    await world.exchange.hang_up_all()
    assert ending(await world.end()) == ("hangup", "platform")
    assert call.sent == ["180", "603"]


async def test_calls_that_are_abandoned_do_not_wait_for_their_applications() -> None:
    world = World(GOODBYE)
    world.fetcher.delay = 0.0
    await world.ring()
    before = world.clock.monotonic()
    await world.exchange.hang_up_all()
    assert world.clock.monotonic() == before
    assert ending(await world.end()) == ("hangup", "platform")


async def test_an_application_that_fails_again_after_the_answer_is_not_answered_twice() -> None:
    document = vxml(
        "<form><block><throw event='error.mine'/></block></form>", 'application="root.vxml"'
    )
    world = World(document)
    world.fetcher.files["http://apps.test/root.vxml"] = vxml(
        "<var name='x' expr='nobody.home'/>"
    ).encode()
    call = await world.ring()
    assert call.sent[:2] == ["180", "200"]
    assert ending(await world.end()) == ("error", "platform")
    assert call.sent.count("200") == 1


# What is kept of the dialogue --------------------------------------------------------------------

PIN = '<form><field name="pin" type="digits?length=1"><prompt>PIN</prompt></field></form>'


async def kept_of(properties: str) -> list[str]:
    world = World(vxml(properties + PIN))
    await world.ring()
    await world.clock.elapse(1.1)
    world.caller.press("7")
    await world.end()
    return world.store.names()


async def test_what_a_caller_presses_is_not_kept_unless_the_application_asks() -> None:
    assert await kept_of("") == ["vxml.end"]
    traced = await kept_of('<property name="vxml-server.trace" value="true"/>')
    assert {"vxml.step", "vxml.prompt", "vxml.input", "vxml.match", "vxml.end"} <= set(traced)


# What is seen of it ------------------------------------------------------------------------------


async def test_debugging_shows_the_whole_session_and_costs_nothing_when_off() -> None:
    def see(level: int) -> list[str]:
        seen: list[str] = []

        def note(_logger: object, _method: str, event: dict[str, object]) -> dict[str, object]:
            seen.append(str(event["event"]))
            raise structlog.DropEvent

        structlog.configure(
            processors=[note], wrapper_class=structlog.make_filtering_bound_logger(level)
        )
        return seen

    try:
        seen = see(logging.DEBUG)
        world = World(EXIT)
        await world.ring()
        await world.end()
        assert {"fetch", "enter", "prompt", "end"} <= set(seen)
        seen = see(logging.INFO)
        world = World(EXIT)
        await world.ring()
        await world.end()
        assert seen == ["call", "call ended"]
    finally:
        structlog.reset_defaults()


def connection(uri: str = "sip:1000@192.0.2.1", **headers: str):
    call = FakeIncoming(headers={name.replace("_", "-"): value for name, value in headers.items()})
    call.request_uri = uri
    return connection_of(call)


def test_the_session_knows_its_connection() -> None:
    found = connection(Call_ID="abc", X_Customer="42")
    assert (found.local_uri, found.remote_uri) == ("sip:1000@ivr.test", "sip:alice@phone.test")
    assert (found.originator, found.protocol_name, found.protocol_version) == (
        "remote",
        "sip",
        "2.0",
    )
    assert found.headers == {"call-id": "abc", "x-customer": "42"}
    assert found.aai is None


@pytest.mark.parametrize(
    ("header", "aai"),
    [
        ("64c3a96ac3a0;encoding=hex", "déjà"),
        ("64c3a96ac3a0 ; encoding = hex;purpose=isdn-uui", "déjà"),
        ("hello", "hello"),
        ("nothex;encoding=hex", "nothex"),
        ("ff;encoding=hex", "\ufffd"),
    ],
)
def test_information_of_the_caller_s_application_comes_in_user_to_user(
    header: str, aai: str
) -> None:
    assert connection(User_to_User=header).aai == aai


def test_information_of_the_caller_s_application_comes_in_the_request_uri() -> None:
    assert connection("sip:1000@192.0.2.1;user=phone;AAI=a%20b?x=y").aai == "a b"
    assert connection("sip:1000@192.0.2.1;user=phone").aai is None


async def test_an_application_reads_the_headers_of_its_call() -> None:
    document = vxml(
        "<form><block><log><value expr=\"session.connection.protocol.sip.headers['x-customer']\"/>"
        " <value expr='session.connection.aai'/></log></block></form>"
    )
    world = World(document)
    await world.ring(FakeIncoming(headers={"X-Customer": "42", "User-to-User": "hello"}))
    await world.end()
    assert logged(world) == ["42 hello"]


async def test_a_call_leaves_no_task_behind_though_everything_happens_at_once() -> None:
    world = World(transfer("bridge"))
    call = await world.ring()
    world.outgoing[0].answer()
    call.bye()
    world.outgoing[0].bye()
    world.exchange.hang_up(world.exchange.active()[0].id)
    await world.end()
    assert asyncio.all_tasks() == {asyncio.current_task()}
