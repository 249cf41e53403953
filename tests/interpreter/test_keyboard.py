"""A person at the keyboard is the caller, in real time (here: on a virtual clock)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from tests.interpreter.calls import (
    CITIES,
    FOUR_DIGITS,
    PROPERTIES,
    NoFetcher,
    digits,
    prompt,
    utterance,
)
from vxml_server.audio import decode
from vxml_server.clock import VirtualClock
from vxml_server.interpreter.keyboard import KeyboardPlatform
from vxml_server.interpreter.platform import (
    ActiveGrammar,
    InputKind,
    InputProperties,
    InputResult,
    Json,
    ListenRequest,
    Prompt,
    RecordEnding,
    RecordRequest,
    RecordResult,
    TransferRequest,
)

Value = TypeVar("Value")


class Call:
    """Someone types; `lines` are there before they are asked for."""

    def __init__(self, *lines: str | None) -> None:
        self.clock = VirtualClock()
        self.typed: asyncio.Queue[str | None] = asyncio.Queue()
        for line in lines:
            self.typed.put_nowait(line)
        self.seen: list[tuple[str, dict[str, Json]]] = []
        self.platform = KeyboardPlatform(self.typed.get, self.clock, NoFetcher(), self.observe)

    def observe(self, kind: str, record: dict[str, Json]) -> None:
        self.seen.append((kind, record))

    async def listen(
        self,
        *prompts: Prompt,
        grammars: tuple[ActiveGrammar, ...] = CITIES + FOUR_DIGITS,
        properties: InputProperties = PROPERTIES,
    ) -> InputResult:
        return await self.patiently(
            self.platform.listen(ListenRequest(prompts, grammars, properties))
        )

    async def patiently(self, awaitable: Awaitable[Value]) -> Value:
        """What comes of it, time passing only while it waits for a timer."""
        task = asyncio.ensure_future(awaitable)
        await self.clock.settle()
        while not task.done():
            due = self.clock.next_due()
            assert due is not None, "it waits for nothing"
            await self.clock.elapse(due)
        return task.result()


async def test_a_line_of_digits_is_keys() -> None:
    call = Call("12 34")
    assert utterance(await call.listen(prompt("hello"))) == "1234"
    assert call.seen == [
        ("prompt", {"text": "hello", "lang": "en", "bargein": True, "audio": [], "marks": []}),
        ("input", {"mode": "dtmf", "utterance": "1234", "confidence": 1.0}),
    ]


async def test_another_line_is_speech() -> None:
    call = Call("  Boston ")
    assert utterance(await call.listen()) == "boston"
    assert call.seen[-1] == ("input", {"mode": "voice", "utterance": "Boston", "confidence": 1.0})


async def test_an_empty_line_is_silence() -> None:
    call = Call("")
    assert (await call.listen()).kind is InputKind.NOINPUT
    assert call.platform.now() == 0.0


async def test_saying_nothing_is_silence_after_the_timeout_of_the_last_prompt() -> None:
    call = Call()
    assert (await call.listen(prompt("a", timeout=2.0))).kind is InputKind.NOINPUT
    assert call.platform.now() == 2.0
    assert (await call.listen()).kind is InputKind.NOINPUT
    assert call.platform.now() == 7.0
    await call.platform.close()


async def test_the_end_of_input_hangs_up() -> None:
    call = Call(None)
    assert (await call.listen()).kind is InputKind.HANGUP
    assert call.platform.hung_up
    assert (await call.listen(prompt("nobody hears"))).kind is InputKind.HANGUP
    await call.platform.play([prompt("nobody hears")])
    request = TransferRequest("tel:1", "bridge")
    assert (await call.platform.transfer(request)).outcome == "connection.disconnect.hangup"
    assert call.seen == []
    await call.platform.close()


async def test_unfinished_keys_may_be_finished_on_the_next_line() -> None:
    assert utterance(await Call("12", "34").listen()) == "1234"


async def test_unfinished_keys_end_after_the_interdigit_timeout() -> None:
    call = Call("12")
    assert (await call.listen()).kind is InputKind.NOMATCH
    assert call.platform.now() == 3.0
    await call.platform.close()


async def test_an_empty_line_ends_keys() -> None:
    call = Call("12", "")
    result = await call.listen(grammars=(digits("minlength=1"),))
    assert utterance(result) == "12"
    assert call.platform.now() == 0.0


async def test_keys_that_were_not_needed_are_kept() -> None:
    call = Call("12345678")
    assert utterance(await call.listen()) == "1234"
    assert utterance(await call.listen()) == "5678"


async def test_a_prompt_without_barge_in_deletes_the_keys_that_were_kept() -> None:
    call = Call("12345678", "9999")
    await call.listen()
    assert utterance(await call.listen(prompt("first this", bargein=False))) == "9999"


async def test_the_key_that_ended_an_input_begins_the_next() -> None:
    call = Call("12345678")
    patient = replace(PROPERTIES, term_timeout=1.0)
    assert utterance(await call.listen(properties=patient)) == "1234"
    assert utterance(await call.listen(properties=patient)) == "5678"


async def test_after_a_hotword_prompt_only_a_match_counts() -> None:
    call = Call("paris", "9", "boston")
    hot = prompt("hello", bargein_type="hotword")
    assert utterance(await call.listen(hot, grammars=CITIES)) == "boston"


async def test_what_is_not_listened_for_is_not_noticed() -> None:
    silent = replace(PROPERTIES, input_modes=frozenset())
    call = Call("boston", "1234")
    assert (await call.listen(properties=silent)).kind is InputKind.NOINPUT
    assert call.seen == []
    await call.platform.close()


async def test_a_transfer_ends_as_it_usually_does() -> None:
    call = Call()
    request = TransferRequest("tel:1", "bridge", (prompt("hold"),))
    assert (await call.platform.transfer(request)).outcome == "far_end_disconnect"
    assert [kind for kind, _ in call.seen] == ["prompt", "transfer"]
    assert not call.platform.hung_up


async def test_a_caller_who_was_transferred_away_has_left() -> None:
    call = Call()
    await call.platform.transfer(TransferRequest("tel:1", "blind"))
    assert call.platform.hung_up


async def test_disconnecting_ends_the_call() -> None:
    call = Call()
    await call.platform.disconnect({})
    assert call.platform.hung_up


# Recordings --------------------------------------------------------------------------------------


async def recorded(call: Call, **changes: Any) -> RecordResult:
    request = replace(RecordRequest("audio/x-wav", properties=PROPERTIES), **changes)
    return await call.patiently(call.platform.record(request))


async def test_a_line_of_words_is_a_message() -> None:
    result = await recorded(Call("call me back"))
    assert result.ending is RecordEnding.SILENCE
    assert result.audio is not None
    assert decode(result.audio.data).duration == pytest.approx(0.9)


async def test_a_message_is_no_longer_than_it_may_be() -> None:
    result = await recorded(Call("call me back"), max_time=0.5)
    assert result.audio is not None
    assert result.audio.duration == 0.5


async def test_keys_end_a_recording_before_anything_is_said() -> None:
    result = await recorded(Call("#"))
    assert (result.ending, result.audio) == (RecordEnding.INPUT, None)
    assert result.recognition is not None
    assert result.recognition.utterance == "#"


async def test_keys_that_end_nothing_are_passed_over() -> None:
    result = await recorded(Call("5", "hello"), dtmf_term=False)
    assert result.audio is not None


async def test_keys_that_may_go_on_end_it_in_the_end() -> None:
    result = await recorded(Call("12"), grammars=FOUR_DIGITS)
    assert result.recognition is not None
    assert result.recognition.utterance == "12"


async def test_words_of_a_grammar_end_a_recording_with_themselves() -> None:
    result = await recorded(Call("boston"), grammars=CITIES)
    assert (result.ending, result.audio is not None) == (RecordEnding.INPUT, True)


async def test_an_empty_line_or_none_is_silence() -> None:
    assert (await recorded(Call(""))).ending is RecordEnding.NOINPUT
    assert (await recorded(Call())).ending is RecordEnding.NOINPUT


async def test_the_end_of_input_hangs_up_on_a_recording() -> None:
    call = Call(None)
    assert (await recorded(call)).ending is RecordEnding.HANGUP
    assert call.platform.hung_up
    assert (await recorded(call)).ending is RecordEnding.HANGUP
