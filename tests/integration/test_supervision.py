"""A supervisor in a conversation of two others: who hears whom, told by the tone that each sends.

One caller goes through it all with three softphones: he waits, talks to ann, eve listens, whispers,
barges in and takes him, he is sent back to his place, and moved to another queue, where ann has him
again.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.integration import audio, rtp_check
from tests.integration.baresip import Baresip
from tests.integration.documents import DocumentServer
from tests.integration.server import Json, VxmlServer
from tests.integration.waiting import until
from tests.integration.wire import Wire

TONES = {"caller": 450.0, "ann": 1130.0, "eve": 1730.0, "server": 2310.0}
"""In hertz; none is a multiple of another, or part of a key. The server's is what it plays."""
SENT_DBFS, LEAST_DBFS, MOST_DBFS = -20.0, -26.0, -50.0
"""A tone that is sent; one that is heard has at least this level, one that is not at most that."""
SETTLES = 0.3
"""Seconds from a change to where it is listened to: what was under way has been heard by then."""
LISTENED = 6400
"""So many samples are listened to: 0.8 s."""
SETTINGS = """\
[[recording.rules]]
name = "all"

[recording.notices]
en = "{notice}"
"""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Who heard whom (and `server`), by what was going on and by who listened."""

    heard: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    recordings: dict[str, audio.Samples] = field(default_factory=dict)
    """By agent: `[samples, 2]`."""
    facts: list[Json] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Site:
    server: VxmlServer
    wire: Wire
    phones: Mapping[str, Baresip]

    def ears(self, first: str) -> dict[str, set[str]]:
        """What each telephone hears once the caller hears `first`, and what was changed holds."""
        asked = time.time()

        def sound(name: str, start: float) -> audio.Samples:
            packets = self.wire.received(self.phones[name].rtp_port)
            heard = [p for p in packets if p.at > start and p.payload_type == audio.PCMU]
            return rtp_check.samples(heard)

        def begins() -> bool:
            levels = audio.tone_levels(sound("caller", asked)[-800:], TONES[first])
            return len(levels) == 2 and min(levels) > LEAST_DBFS

        until(begins, 20, f"the caller hears {first}")
        start = time.time() + SETTLES
        until(lambda: len(sound("caller", start)) >= LISTENED, 20, "the caller gets sound")
        return {name: tones_of(sound(name, start)) for name in self.phones}

    def of_offers(self, agent: str, state: str) -> str:
        """The id of an agent's offer, when it is in a state."""

        def found() -> list[Json]:
            offers = self.server.ask("GET", f"offers?agent={agent}")["offers"]
            assert isinstance(offers, list)
            return [one for one in offers if one["state"] == state]

        until(found, 20, f"{agent} has an offer that is {state}")
        return str(found()[0]["offer"])

    def waiting(self, queue: str) -> list[Json]:
        found = self.server.ask("GET", f"queues/{queue}/waiting")["waiting"]
        assert isinstance(found, list)
        return found

    def facts(self) -> list[Json]:
        """The log."""
        found = self.server.ask("GET", "events?after=0&limit=1000")["events"]
        assert isinstance(found, list)
        return found

    def wait_for(self, name: str, **data: str) -> None:
        def happened() -> bool:
            return any(
                fact["name"] == name and data.items() <= _data(fact).items()
                for fact in self.facts()
            )

        until(happened, 20, f"{name} {data} is in the log")


def _data(fact: Json) -> dict[str, object]:
    data = fact["data"]
    assert isinstance(data, dict)
    return data


def tones_of(sound: audio.Samples) -> set[str]:
    """Whose tones are in a sound, from its beginning to its end; none is there in a part of it."""
    if not len(sound):
        return set()
    heard = set()
    for name, hertz in TONES.items():
        levels = audio.tone_levels(sound, hertz)
        # A frame that a stalled machine lost is no silence, nor what stands in for it a tone.
        most, usual = np.percentile(levels, 90), np.percentile(levels, 20)
        if usual > LEAST_DBFS:
            heard.add(name)
        else:
            assert most < MOST_DBFS, f"{name}: between {usual:.1f} and {most:.1f} dBFS"
    return heard


@pytest.fixture(scope="module")
def site(
    documents: DocumentServer, wire: Wire, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("supervision")
    (folder / "server").mkdir()
    hertz = TONES["server"]
    server = VxmlServer(
        folder / "server",
        {"help": documents.uri("queue.vxml?dest=queue:sales")},
        (documents.origin,),
        more_settings=SETTINGS.format(
            notice=documents.uri(f"tone.vxml?hertz={hertz}&seconds=0.5&says=accepted")
        ),
    )
    phones: dict[str, Baresip] = {}
    try:
        server.start()
        for name in ("caller", "ann", "eve"):
            phones[name] = telephone(folder / name, name)
            wire.watch(phones[name].rtp_port)
        for name in ("ann", "eve"):
            line = f"sip:{name}@127.0.0.1:{phones[name].sip_port}"
            server.ask("PUT", f"agents/{name}", {"line": line, "wrap_up_time": 60})
        hold = documents.uri(f"tone.vxml?hertz={hertz}&seconds=180&says=")
        for queue in ("sales", "late"):
            server.ask("PUT", f"queues/{queue}", {"members": [{"agent": "ann"}], "treatment": hold})
        server.ask("POST", "agents/eve/presence", {"presence": "available"})
        yield Site(server, wire, phones)
        server.stop()
    finally:
        for phone in phones.values():
            phone.close()
        server.close()


def telephone(folder: Path, name: str) -> Baresip:
    return Baresip(folder, name, "pcmu", audio.sines((TONES[name],), 180.0, SENT_DBFS))


@pytest.fixture(scope="module")
def life(site: Site) -> Lifetime:
    life, ask, phones = Lifetime(), site.server.ask, site.phones

    def listen(moment: str, first: str) -> None:
        life.heard[moment] = site.ears(first)

    phones["caller"].dial(f"sip:help@127.0.0.1:{site.server.sip_port}")
    until(lambda: site.waiting("sales"), 30, "the caller waits")
    listen("waits", "server")

    ask("POST", "agents/ann/presence", {"presence": "available"})
    offer = site.of_offers("ann", "bridged")
    listen("talks", "ann")

    line = f"sip:eve@127.0.0.1:{phones['eve'].sip_port}"
    ask("POST", f"offers/{offer}/supervise", {"line": line, "mode": "listen"})
    site.wait_for("supervision.started", mode="listen")
    listen("listens", "ann")
    phones["eve"].press("5")
    site.wait_for("supervision.changed", mode="whisper")
    listen("whispers", "ann")
    ask("PUT", f"offers/{offer}/supervise", {"mode": "barge"})
    site.wait_for("supervision.changed", mode="barge")
    listen("barges in", "eve")

    ask("POST", f"offers/{offer}/take", {"agent": "eve"})
    taken = site.of_offers("eve", "bridged")
    phones["ann"].wait_until_ended(20)
    listen("takes", "eve")

    ask("POST", f"offers/{taken}/return")
    until(lambda: site.waiting("sales"), 20, "the caller waits again")
    phones["eve"].wait_until_ended(20)
    listen("returns", "server")
    [entry] = site.waiting("sales")

    ask("POST", f"queues/sales/waiting/{entry['entry']}/move", {"queue": "late"})
    until(lambda: site.waiting("late"), 20, "the caller waits in the other queue")
    ask("POST", "agents/ann/release")
    site.of_offers("ann", "bridged")
    listen("is moved", "ann")
    phones["caller"].hang_up()
    site.of_offers("ann", "wrapping_up")

    life.facts.extend(site.facts())
    for recording in recordings(site, 3):
        life.recordings[f"{recording['queue']} {recording['agent']}"] = both(site, recording)
    return life


def recordings(site: Site, number: int) -> list[Json]:
    def stored() -> list[Json]:
        found = site.server.ask("GET", "recordings")["recordings"]
        assert isinstance(found, list)
        return [one for one in found if one["state"] == "stored"]

    until(lambda: len(stored()) == number, 20, f"{number} recordings are stored")
    return stored()


def both(site: Site, recording: Json) -> audio.Samples:
    whole = site.server.octets(f"/api/v1/recordings/{recording['id']}/audio")
    sound, _ = soundfile.read(io.BytesIO(whole), dtype="int16")
    return np.asarray(sound)


@pytest.mark.parametrize(
    ("moment", "caller", "ann", "eve"),
    [
        ("waits", "server", "", ""),
        ("talks", "ann", "caller", ""),
        ("listens", "ann", "caller", "caller ann"),
        ("whispers", "ann", "caller eve", "caller ann"),
        ("barges in", "ann eve", "caller eve", "caller ann"),
        ("takes", "eve", "", "caller"),
        ("returns", "server", "", ""),
        ("is moved", "ann", "caller", ""),
    ],
)
def test_each_hears_whom_he_is_meant_to_and_nobody_else(
    life: Lifetime, moment: str, caller: str, ann: str, eve: str
) -> None:
    wanted = {"caller": caller, "ann": ann, "eve": eve}
    assert life.heard[moment] == {name: set(whom.split()) for name, whom in wanted.items()}


@pytest.mark.parametrize("recording", ["sales ann", "sales eve", "late ann"])
def test_a_recording_has_the_caller_and_the_agent_and_neither_supervisor_nor_server(
    life: Lifetime, recording: str
) -> None:
    sound = life.recordings[recording]
    left, right = np.ascontiguousarray(sound[:, 0]), np.ascontiguousarray(sound[:, 1])
    assert tones_of(left) == {"caller"}
    assert tones_of(right) == {recording.split()[1]}


def test_the_log_says_what_the_supervisor_did(life: Lifetime) -> None:
    wanted = (
        *("supervision.started", "supervision.changed", "supervision.changed"),
        *("conversation.taken", "supervision.ended", "conversation.returned", "queue.moved"),
    )
    told = [str(fact["name"]) for fact in life.facts if fact["name"] in wanted]
    assert sorted(told) == sorted(wanted)
    assert told[:3] == list(wanted[:3])
