from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

from prometheus_client import CollectorRegistry, generate_latest

from tests.queues.contact_centre import ContactCentre, agent, queue
from vxml_server.app.metrics import ServerCollector
from vxml_server.asr import EngineCounters
from vxml_server.calls import ExchangeCounters
from vxml_server.media import EngineStatistics
from vxml_server.queues import Presence
from vxml_server.queues.replica import Counters as QueueCounters
from vxml_server.queues.transitions import OfferEvent
from vxml_server.sip import Counters, RegistrarCounters, TrunkState, TrunkStatus
from vxml_server.sip.registrar_limits import DoorCounters


def contact_centre() -> SimpleNamespace:
    """One caller waits, one talks with ann; bob is on a break."""
    centre = ContactCentre([agent("ann"), agent("bob")], [queue("sales", ["ann"]), queue("empty")])
    centre.sign_in("ann")
    centre.present("bob", Presence.ON_BREAK, "lunch")
    centre.call("sales")
    centre.make_offers()
    centre.happen(centre.offer("ann"), OfferEvent.ANSWER, OfferEvent.BRIDGE)
    centre.call("sales")
    counters = QueueCounters(conflicts=31)
    counters.outcomes["completed"] = 30
    return SimpleNamespace(board=centre.board, counters=counters, ahead=-7200.5)


def exposed(
    lateness: tuple[tuple[float, int], ...] = ((5.0, 90), (float("inf"), 10)),
    ears: SimpleNamespace | None = None,
) -> str:
    counters = ExchangeCounters(ended={"exit": 3, "hangup": 2}, refused={404: 1})
    media = EngineStatistics(2, 100, 5, 1, lateness, 0.25, 7, 8, {"late": 4}, 9)
    observed = SimpleNamespace(
        exchange=SimpleNamespace(active=lambda: ["a call", "another"], counters=counters),
        engine=SimpleNamespace(statistics=lambda: media),
        user_agent=SimpleNamespace(
            active_dialogs=2,
            active_transactions=6,
            counters=Counters(malformed=9),
            door_counters=DoorCounters(wrong_passwords=19),
            locked_out=(20, 21),
        ),
        registrar=SimpleNamespace(
            location=SimpleNamespace(count=lambda: (22, 23)),
            counters=RegistrarCounters(accepted=24),
        ),
        trunks=SimpleNamespace(
            status=lambda: [TrunkStatus("t", "sip:t", "u", TrunkState.REGISTERED)]
        ),
        store=SimpleNamespace(pending=11),
        centre=contact_centre(),
        summaries=SimpleNamespace(service_levels=lambda: {"sales": 0.75}),
        recogniser=None if ears is None else SimpleNamespace(pool=ears),
        synthesizer=SimpleNamespace(hits=12, misses=13, bytes=14, disk_hits=18),
        voices=SimpleNamespace(spoken=Counter(espeak=16), failed=Counter(piper=17)),
        tasks=15,
    )
    registry = CollectorRegistry()
    registry.register(ServerCollector(observed))
    return generate_latest(registry).decode()


def samples(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if line and line[0] != "#"]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_every_room_s_figures_are_exposed_under_their_names() -> None:
    found = samples(exposed())
    expected = {
        "calls_active": 2,
        'calls_ended_total{reason="exit"}': 3,
        'calls_ended_total{reason="hangup"}': 2,
        'calls_refused_total{status="404"}': 1,
        "sip_dialogs_active": 2,
        "sip_transactions_active": 6,
        "sip_malformed_total": 9,
        "sip_wrong_passwords_total": 19,
        'sip_locked_out{what="source"}': 20,
        'sip_locked_out{what="user"}': 21,
        "sip_registrations": 22,
        "sip_registrations_unreachable": 23,
        "sip_registers_accepted_total": 24,
        'trunk_registered{trunk="t"}': 1,
        "media_channels_open": 2,
        "media_ticks_total": 100,
        "media_ticks_late_total": 5,
        "media_ticks_skipped_total": 1,
        "media_busy_seconds_total": 0.25,
        "media_packets_received_total": 7,
        "media_packets_sent_total": 8,
        'media_packets_dropped_total{reason="late"}': 4,
        "tts_cache_hits_total": 12,
        "tts_cache_folder_hits_total": 18,
        "media_underruns_total": 9,
        "tts_cache_misses_total": 13,
        "tts_cache_bytes": 14,
        'tts_sentences_total{engine="espeak"}': 16,
        'tts_failures_total{engine="piper"}': 17,
        "store_rows_pending": 11,
        'queue_waiting{queue="sales"}': 1,
        'queue_waiting{queue="empty"}': 0,
        'agents{state="talking"}': 1,
        'agents{state="on_break"}': 1,
        'offers_total{outcome="completed"}': 30,
        "queues_conflicts_total": 31,
        "queues_time_ahead_seconds": -7200.5,
        'queue_service_level{queue="sales"}': 0.75,
        "tasks": 15,
    }
    assert {name: found[f"vxml_server_{name}"] for name in expected} == expected


def test_recognition_is_measured_by_engine() -> None:
    engine = EngineCounters(failures=3, hung=1)
    engine.took(0.25)
    engine.took(0.45)
    engine.took(60.0)
    counters = SimpleNamespace(refused=4, engines={"whisper": engine})
    found = samples(exposed(ears=SimpleNamespace(active=5, waiting=6, counters=counters)))
    expected = {
        "asr_recognitions": 5,
        "asr_waiting": 6,
        "asr_refused_total": 4,
        'asr_failures_total{engine="whisper"}': 3,
        'asr_hung_total{engine="whisper"}': 1,
        'asr_latency_seconds_bucket{engine="whisper",le="0.2"}': 0,
        'asr_latency_seconds_bucket{engine="whisper",le="0.3"}': 1,
        'asr_latency_seconds_bucket{engine="whisper",le="0.5"}': 2,
        'asr_latency_seconds_bucket{engine="whisper",le="+Inf"}': 3,
        'asr_latency_seconds_sum{engine="whisper"}': 60.7,
    }
    assert {name: found[f"vxml_server_{name}"] for name in expected} == expected


def test_a_server_without_recognition_shows_no_figures_of_it() -> None:
    assert "_asr_" not in exposed()


def test_lateness_is_a_histogram_in_seconds() -> None:
    found = samples(exposed())
    name = "vxml_server_media_tick_lateness_seconds_bucket"
    assert found[f'{name}{{le="0.005"}}'] == 90
    assert found[f'{name}{{le="+Inf"}}'] == 100


def test_a_histogram_without_an_open_end_gets_one() -> None:
    name = "vxml_server_media_tick_lateness_seconds_bucket"
    assert samples(exposed(((5.0, 90),)))[f'{name}{{le="+Inf"}}'] == 90
    assert samples(exposed(()))[f'{name}{{le="+Inf"}}'] == 0


def test_a_collector_may_be_registered_before_the_server_has_started() -> None:
    CollectorRegistry().register(ServerCollector(object()))
