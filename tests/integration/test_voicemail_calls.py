"""Messages left by telephones and heard by telephones: the same tone at both ends, and the API."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from itertools import groupby

import numpy as np
import pytest

from tests.integration import audio
from tests.integration.caller import Caller, FinishedCall, together
from tests.integration.documents import DocumentServer
from tests.integration.server import Json, VxmlServer
from tests.integration.waiting import until
from tests.integration.wire import Wire
from tests.integration.witness import Witness
from vxml_server.audio import decode

Calls = dict[str, Future[FinishedCall]]

HERTZ = {"hangs-up": 440.0, "sends": 520.0, "overflows": 600.0, "presses": 680.0, "blind": 760.0}
"""What each caller says, to which box."""
BOXES = {"hangs-up": "70", "sends": "71", "overflows": "72", "presses": "73", "blind": "74"}
FRENCH = {"71", "73"}
DBFS = -20.0
TALK = 3.0
PIN = "4711"
# The greeting is skipped then; it is spoken by that time.
SKIPS = 2.0
# From the key to the end of the tone, and a little.
TONE = 1.2


def definitions(number: str) -> dict[str, Json]:
    """By path: a box, and a queue that has it, in which nobody works."""
    name = f"box-{number}"
    return {
        f"boxes/{name}": {
            "number": number,
            "queue": name,
            "description": "Box",
            "language": "fr" if number in FRENCH else "en",
        },
        f"queues/{name}": {
            "max_wait_no_agents": 1 if number == BOXES["overflows"] else 0,
            "overflow": f"voicemail:{name}",
            "choices": {"2": "message"},
        },
    }


@pytest.fixture(scope="module")
def caller(
    documents: DocumentServer,
    wire: Wire,
    witness: Witness,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Caller]:
    folder = tmp_path_factory.mktemp("voicemail")
    for name in ("server", "calls"):
        (folder / name).mkdir()
    server = VxmlServer(folder / "server", {}, (documents.origin,))
    apps = f"http://127.0.0.1:{server.web_port}/apps/voicemail"
    server.numbers |= {f"listen-{of}": f"{apps}/{of}/index.vxml" for of in ("en", "fr")}
    for number in BOXES.values():
        for scheme in ("queue", "voicemail"):
            dest = f"{scheme}:box-{number}"
            server.numbers[f"{scheme}-{number}"] = documents.uri(f"queue.vxml?dest={dest}")
        blind = f"transfer.vxml?type=blind&maxtime=0s&far=voicemail:box-{number}"
        server.numbers[f"blind-{number}"] = documents.uri(blind)
    made = Caller(server, documents, wire, witness, folder / "calls")
    try:
        server.start()
        for number in BOXES.values():
            for path, body in definitions(number).items():
                server.ask("PUT", path, body)
            server.ask("PUT", f"voicemail/boxes/box-{number}/pin", {"pin": PIN})
        yield made
        server.stop()
    finally:
        made.close()
        server.close()


@pytest.fixture(scope="module")
def left(caller: Caller) -> Calls:
    """Everybody leaves a message, at the same time."""

    def says(name: str) -> audio.Samples:
        return audio.sines((HERTZ[name],), TALK, DBFS)

    def leave(name: str, by: str, *before: float | str, **more: object) -> FinishedCall:
        script = (*before, SKIPS, "5", TONE, says(name), 0.5, "#", 1.0, "1", 5.0)
        return caller.call(name, f"{by}-{BOXES[name]}", script=script, **{"seconds": 60} | more)

    spoken = SKIPS + TONE + TALK
    calls = together(
        {
            "hangs-up": partial(
                caller.call,
                "hangs-up",
                f"voicemail-{BOXES['hangs-up']}",
                script=(SKIPS, "5", TONE, says("hangs-up"), 10.0),
                scenario="caller-hangs-up",
                arguments=("-d", str(round(1000 * (spoken + 0.6)))),
            ),
            "sends": partial(leave, "sends", "voicemail"),
            "overflows": partial(leave, "overflows", "queue", 2.0),
            "presses": partial(leave, "presses", "queue", 2.0, "2"),
            "blind": partial(leave, "blind", "blind"),
        }
    )
    for call in calls.values():
        call.exception()
    return calls


@pytest.fixture(scope="module")
def kept(left: Calls, caller: Caller) -> dict[str, Json]:
    """The messages, by who has left them; each is alone in its box."""
    for call in left.values():
        call.result()
    return {name: only for name in HERTZ for only in messages(caller, name)}


@pytest.fixture(scope="module")
def heard(kept: dict[str, Json], caller: Caller) -> Calls:
    """Their owners hear them, delete them and leave; somebody else does not know the PIN."""

    def hear(name: str) -> FinishedCall:
        box = BOXES[name]
        language = "fr" if box in FRENCH else "en"
        script = (2.0, f"{box}#", 1.5, f"{PIN}#", 14.0, "2", 1.5, "#", 5.0)
        return caller.call(
            f"hears-{name}", f"listen-{language}", script=script, tells=False, seconds=60
        )

    tries = [part for _ in range(3) for part in ("70#", 1.5, "0000#", 2.5)]
    guess = partial(
        caller.call, "guesses", "listen-en", script=(2.0, *tries, 12.0), tells=False, seconds=60
    )
    calls = together({**{name: partial(hear, name) for name in HERTZ}, "guesses": guess})
    for call in calls.values():
        call.exception()
    return calls


def messages(caller: Caller, name: str) -> list[Json]:
    found = caller.server.ask("GET", f"voicemail/boxes/box-{BOXES[name]}/messages")["messages"]
    assert isinstance(found, list)
    return found


SHORTEST_TONE = 4  # windows of 50 ms


def tone_seconds(samples: audio.Samples, hertz: float) -> float:
    """How long a tone of about the right level is in what is heard; a voice has it for moments too,
    and those do not count."""
    is_tone = np.abs(audio.tone_levels(samples, hertz) - DBFS) < 2
    runs = (len(list(run)) for is_there, run in groupby(is_tone) if is_there)
    return 0.05 * sum(run for run in runs if run >= SHORTEST_TONE)


@pytest.mark.parametrize("name", ["sends", "overflows", "presses"])
def test_a_message_that_is_sent_is_left_and_the_application_is_told(
    left: Calls, caller: Caller, name: str
) -> None:
    call = left[name].result()
    call.sip.assert_success()
    assert [told.get("outcome") for told in call.told] == ["voicemail_left"]
    record = call.assert_one_record("exit", "application")
    legs = record["legs"]
    assert isinstance(legs, list)
    outcomes = {leg["destination"]: leg["outcome"] for leg in legs}
    assert outcomes[f"voicemail:box-{BOXES[name]}"] == "voicemail_left"
    if name != "sends":
        because = "queue_no_agents" if name == "overflows" else "queue_message"
        assert outcomes[f"queue:box-{BOXES[name]}"] == because


def test_who_hangs_up_after_speaking_has_left_his_message(left: Calls, caller: Caller) -> None:
    call = left["hangs-up"].result()
    call.sip.assert_success()
    assert [told.get("outcome") for told in call.told] == ["connection.disconnect.hangup"]
    record = call.assert_one_record("hangup", "caller")
    legs = record["legs"]
    assert isinstance(legs, list)
    assert [leg["outcome"] for leg in legs] == ["voicemail_left"]


def test_who_is_handed_over_for_good_has_left_his_message_when_the_call_ends(left: Calls) -> None:
    call = left["blind"].result()
    call.sip.assert_success()
    assert [told.get("outcome") for told in call.told] == ["connection.disconnect.transfer"]
    record = call.assert_one_record("disconnect", "application")
    legs = record["legs"]
    assert isinstance(legs, list)
    assert [leg["outcome"] for leg in legs] == ["voicemail_left"]


@pytest.mark.parametrize("name", HERTZ)
def test_what_was_said_is_in_the_box_and_nobody_elses(
    kept: dict[str, Json], caller: Caller, name: str
) -> None:
    message = kept[name]
    assert message["caller"] == name
    assert message["duration_s"] == pytest.approx(TALK, abs=0.8)
    recording = f"recordings/{message['id']}"
    until(lambda: caller.server.ask("GET", recording)["state"] == "stored", 20, "it is stored")
    path = f"/api/v1/voicemail/messages/{message['id']}/audio"
    file = caller.server.octets(path)
    assert caller.server.octets(path, "bytes=4-99") == file[4:100]
    said = decode(file).pcm
    assert tone_seconds(said, HERTZ[name]) == pytest.approx(TALK, abs=0.3)
    for other in HERTZ.keys() - {name}:
        assert tone_seconds(said, HERTZ[other]) == 0


@pytest.mark.parametrize("name", HERTZ)
def test_its_owner_hears_it_by_telephone_and_deletes_it(
    heard: Calls, caller: Caller, name: str
) -> None:
    call = heard[name].result()
    call.sip.assert_success()
    call.assert_one_record("disconnect", "application")
    sound = np.concatenate([audio.decode(p.payload, p.payload_type) for p in call.received])
    assert tone_seconds(sound, HERTZ[name]) == pytest.approx(TALK, abs=0.3)
    assert messages(caller, name) == []


def test_a_pin_is_tried_three_times_in_a_call(heard: Calls) -> None:
    call = heard["guesses"].result()
    call.sip.assert_success()
    record = call.assert_one_record("disconnect", "application")
    duration = record["duration_s"]
    assert isinstance(duration, float)
    assert duration < 25, "nobody waits for what is pressed afterwards"


def test_a_box_that_is_not_there_is_a_bad_destination(
    caller: Caller, documents: DocumentServer
) -> None:
    caller.server.ask("DELETE", "boxes/box-70")
    call = caller.call("nowhere", "voicemail-70")
    told = [one.get("outcome") for one in call.told]
    assert told == ["error.connection.baddestination"]
