"""A whole call by baresip: its own SIP, its own RTP, its own keys, its own ears."""

from __future__ import annotations

import time
from collections.abc import Iterator
from uuid import uuid4

import numpy as np
import pytest

from tests.integration import audio
from tests.integration.baresip import Baresip
from tests.integration.caller import Caller
from tests.integration.server import Json
from tests.integration.waiting import until

BANK = ("1", "123456", "1", "1234", "3")
PROMPT_SECONDS = 2.5
"""Long enough to hear that a prompt is spoken before the next key is pressed."""


@pytest.fixture(params=["pcmu", "pcma"])
def softphone(caller: Caller, request: pytest.FixtureRequest) -> Iterator[Baresip]:
    codec = str(request.param)
    folder = caller.folder / f"baresip-{codec}"
    # Who is made again is another one: the server still knows of the first call.
    user = f"softphone-{codec}-{uuid4().hex[:8]}"
    softphone = Baresip(folder, user, codec, audio.silence(60.0))
    yield softphone
    softphone.close()


def test_baresip_hears_its_balance_and_is_let_go(softphone: Baresip, caller: Caller) -> None:
    number = "bank"
    softphone.dial(f"sip:{number}@127.0.0.1:{caller.server.sip_port}")
    softphone.wait_until_established()
    for keys in BANK:
        time.sleep(PROMPT_SECONDS)  # a person listens before pressing
        for key in keys:
            softphone.press(key)
    softphone.wait_until_ended(20)
    softphone.close()

    heard = softphone.heard()
    frames = heard[: len(heard) // 160 * 160].reshape(-1, 160)
    loud = [frame for frame in frames if audio.dbfs(frame) > -50]
    assert len(loud) * 0.02 > 6, "seconds of speech in a call of fifteen"
    assert -30 <= audio.dbfs(np.concatenate(loud)) <= -12

    [record] = until(lambda: _records(caller, softphone.user), 20, "the record is complete")
    assert (record["end_reason"], record["hung_up_by"]) == ("disconnect", "application")
    assert str(record["codec"]).lower() == softphone.codec
    assert len(caller.server.rows(str(record["sip_call_id"]))) == 1
    caller.server.assert_nothing_left()


def _records(caller: Caller, user: str) -> list[Json]:
    return [c for c in caller.server.calls("ended") if user in str(c["from"]) and c["ended_at"]]
