"""What /metrics shows: read from the rooms' own counters when somebody asks.

Collected beside the event loop, so it reads single values and copies of small dictionaries, and
changes nothing.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Protocol

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from vxml_server.asr import LATENCIES, Recogniser
from vxml_server.calls import Exchange
from vxml_server.media import MediaEngine
from vxml_server.queues import ContactCentre, Summaries, state_of
from vxml_server.sip import Registrar, Trunks, TrunkState, UserAgent
from vxml_server.store import Store
from vxml_server.tts import CachingSynthesizer, Voices

PREFIX = "vxml_server"


class Observed(Protocol):
    """The parts of a server that metrics are taken from."""

    @property
    def exchange(self) -> Exchange: ...
    @property
    def engine(self) -> MediaEngine: ...
    @property
    def user_agent(self) -> UserAgent: ...
    @property
    def registrar(self) -> Registrar: ...
    @property
    def trunks(self) -> Trunks: ...
    @property
    def centre(self) -> ContactCentre: ...
    @property
    def summaries(self) -> Summaries: ...
    @property
    def store(self) -> Store: ...
    @property
    def synthesizer(self) -> CachingSynthesizer: ...
    @property
    def voices(self) -> Voices: ...
    @property
    def recogniser(self) -> Recogniser | None: ...
    @property
    def tasks(self) -> int: ...


class ServerCollector(Collector):
    """Metrics of one server."""

    def __init__(self, server: Observed) -> None:
        self._server = server

    def describe(self) -> list[Metric]:
        """Nothing beforehand: the server need not have started when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._calls()
        yield from self._sip()
        yield from self._registrations()
        yield from self._queues()
        yield from self._media()
        yield from self._recognition()
        yield from self._rest()

    def _calls(self) -> Iterator[Metric]:
        exchange = self._server.exchange
        yield _gauge("calls_active", "Calls that are running.", len(exchange.active()))
        yield _by_label(
            "calls_ended", "Calls that have ended.", "reason", exchange.counters.ended.copy()
        )
        refused = {str(status): n for status, n in exchange.counters.refused.copy().items()}
        yield _by_label("calls_refused", "Calls that were not taken.", "status", refused)

    def _sip(self) -> Iterator[Metric]:
        agent = self._server.user_agent
        yield _gauge("sip_dialogs_active", "SIP calls that are not over.", agent.active_dialogs)
        yield _gauge(
            "sip_transactions_active", "SIP transactions alive.", agent.active_transactions
        )
        for name, value in dataclasses.asdict(agent.counters).items():
            yield _counter(f"sip_{name}", f"SIP: {name.replace('_', ' ')}.", value)

    def _registrations(self) -> Iterator[Metric]:
        server = self._server
        known, silent = server.registrar.location.count()
        yield _gauge("sip_registrations", "Telephones registered.", known)
        yield _gauge("sip_registrations_unreachable", "Of them, those that are silent.", silent)
        for name, value in dataclasses.asdict(server.registrar.counters).items():
            yield _counter(f"sip_registers_{name}", f"REGISTER requests {name}.", value)
        for name, value in dataclasses.asdict(server.user_agent.door_counters).items():
            yield _counter(f"sip_{name}", f"Strangers: {name.replace('_', ' ')}.", value)
        sources, names = server.user_agent.locked_out
        locked = GaugeMetricFamily(
            f"{PREFIX}_sip_locked_out", "Locked out for wrong passwords.", labels=["what"]
        )
        locked.add_metric(["source"], sources)
        locked.add_metric(["user"], names)
        yield locked
        trunks = GaugeMetricFamily(
            f"{PREFIX}_trunk_registered",
            "Whether we are registered with a trunk.",
            labels=["trunk"],
        )
        for trunk in server.trunks.status():
            trunks.add_metric([trunk.name], trunk.state is TrunkState.REGISTERED)
        yield trunks

    def _queues(self) -> Iterator[Metric]:
        """Of the whole contact centre, but for the offers: those are this worker's."""
        centre = self._server.centre
        board = centre.board
        waiting = GaugeMetricFamily(
            f"{PREFIX}_queue_waiting", "Callers who wait.", labels=["queue"]
        )
        counts = Counter(
            entry.queue for entry in board.entries.copy().values() if entry.state == "waiting"
        )
        for name in counts.keys() | board.queues.keys():
            waiting.add_metric([name], counts[name])
        yield waiting
        agents = GaugeMetricFamily(
            f"{PREFIX}_agents", "Agents by what they are doing.", labels=["state"]
        )
        offers = defaultdict(list)
        for offer in board.offers.copy().values():
            offers[offer.agent].append(offer)
        states = Counter(
            state_of(candidate.row, offers.get(name, ()))
            for name, candidate in board.agents.copy().items()
        )
        for state, count in states.items():
            agents.add_metric([state], count)
        yield agents
        counters = centre.counters
        outcomes = counters.outcomes.copy()
        yield _by_label("offers", "Offers that have ended.", "outcome", outcomes)
        for name in ("conflicts", "waits", "restarts", "buried", "deaths"):
            yield _counter(f"queues_{name}", f"Queues: {name}.", getattr(counters, name))
        ahead = "Seconds by which the time of queues is ahead of the system's clock."
        yield _gauge("queues_time_ahead_seconds", ahead, centre.ahead)
        levels = GaugeMetricFamily(
            f"{PREFIX}_queue_service_level",
            "Today: answered within the target, of those answered or abandoned.",
            labels=["queue"],
        )
        for name, level in self._server.summaries.service_levels().items():
            levels.add_metric([name], level)
        yield levels

    def _media(self) -> Iterator[Metric]:
        media = self._server.engine.statistics()
        yield _gauge("media_channels_open", "Open media channels.", media.channels_open)
        yield _counter("media_ticks", "Ticks of the media thread.", media.ticks)
        yield _counter("media_ticks_late", "Ticks that began late.", media.ticks_late)
        yield _counter("media_ticks_skipped", "Ticks that were left out.", media.ticks_skipped)
        yield _counter("media_busy_seconds", "Time spent in ticks.", media.busy_seconds)
        yield _counter("media_packets_received", "RTP packets in.", media.packets_received)
        yield _counter("media_packets_sent", "RTP packets out.", media.packets_sent)
        yield _counter("media_underruns", "Frames of silence for want of speech.", media.underruns)
        yield _by_label(
            "media_packets_dropped", "Packets not used.", "reason", dict(media.packets_dropped)
        )
        total, buckets = 0, []
        for bound, count in media.lateness:
            total += count
            buckets.append((f"{bound / 1000:g}" if bound != float("inf") else "+Inf", total))
        histogram = HistogramMetricFamily(
            f"{PREFIX}_media_tick_lateness_seconds", "How late ticks began."
        )
        if buckets and buckets[-1][0] != "+Inf":
            buckets.append(("+Inf", total))
        histogram.add_metric([], buckets=buckets or [("+Inf", 0)], sum_value=None)
        yield histogram

    def _recognition(self) -> Iterator[Metric]:
        recogniser = self._server.recogniser
        if recogniser is None:
            return
        pool = recogniser.pool
        yield _gauge("asr_recognitions", "Callers who speak and are recognised.", pool.active)
        yield _gauge("asr_waiting", "Callers who speak and wait for their turn.", pool.waiting)
        yield _counter("asr_refused", "Waits for voice refused for load.", pool.counters.refused)
        engines = pool.counters.engines.copy()
        failures = {name: engine.failures for name, engine in engines.items()}
        yield _by_label("asr_failures", "Inputs that an engine lost.", "engine", failures)
        hung = {name: engine.hung for name, engine in engines.items()}
        yield _by_label("asr_hung", "Inputs given up for time.", "engine", hung)
        histogram = HistogramMetricFamily(
            f"{PREFIX}_asr_latency_seconds",
            "From the last sound of speech to the recogniser's result.",
            labels=["engine"],
        )
        bounds = [*(f"{bound:g}" for bound in LATENCIES), "+Inf"]
        for name, engine in engines.items():
            counts = list(itertools.accumulate(engine.latencies))
            histogram.add_metric(
                [name], list(zip(bounds, counts, strict=True)), engine.latency_seconds
            )
        yield histogram

    def _rest(self) -> Iterator[Metric]:
        server = self._server
        yield _counter("tts_cache_hits", "Prompts from memory.", server.synthesizer.hits)
        yield _counter("tts_cache_folder_hits", "Prompts from disk.", server.synthesizer.disk_hits)
        yield _counter("tts_cache_misses", "Prompts synthesised.", server.synthesizer.misses)
        yield _gauge("tts_cache_bytes", "Bytes of prompts kept.", server.synthesizer.bytes)
        voices = server.voices
        yield _by_label("tts_sentences", "Sentences spoken.", "engine", dict(voices.spoken))
        yield _by_label(
            "tts_failures", "Sentences that an engine failed at.", "engine", dict(voices.failed)
        )
        yield _gauge("store_rows_pending", "Rows not yet written.", server.store.pending)
        yield _gauge("tasks", "Tasks of the event loop.", server.tasks)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"{PREFIX}_{name}", text, value=value)


def _by_label(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(f"{PREFIX}_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
