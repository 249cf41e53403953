"""Fetching ahead: once each, a few at a time, and never instead of what is wanted."""

from __future__ import annotations

import asyncio

import pytest

from vxml_server.events import VoiceXmlEvent
from vxml_server.fetch import FetchRequest, Prefetcher, Resource
from vxml_server.fetch.prefetch import MOST_AT_ONCE, MOST_WAITING


class Server:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()
        self.failures = 0

    async def fetch(self, request: FetchRequest) -> Resource:
        self.asked.append(request.uri)
        await self.may_answer.wait()
        if self.failures:
            self.failures -= 1
            raise VoiceXmlEvent("error.badfetch", "not now")
        return Resource(request.uri, 200, "", "", request.uri.encode())


@pytest.fixture
async def server() -> Server:
    return Server()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_was_fetched_ahead_is_not_fetched_again(server: Server) -> None:
    ahead = Prefetcher(server)
    ahead.prefetch([FetchRequest("a"), FetchRequest("a")])
    await settle()
    server.may_answer.set()
    await settle()
    assert (await ahead.fetch(FetchRequest("a"))).body == b"a"
    assert server.asked == ["a"]
    # Once: the cache answers from then on.
    await ahead.fetch(FetchRequest("a"))
    assert server.asked == ["a", "a"]


async def test_what_is_under_way_is_waited_for(server: Server) -> None:
    ahead = Prefetcher(server)
    ahead.prefetch([FetchRequest("a")])
    await settle()
    wanted = asyncio.create_task(ahead.fetch(FetchRequest("a")))
    await settle()
    server.may_answer.set()
    assert (await wanted).body == b"a"
    assert server.asked == ["a"]


async def test_a_failure_is_forgotten(server: Server) -> None:
    ahead = Prefetcher(server)
    server.failures = 1
    server.may_answer.set()
    ahead.prefetch([FetchRequest("a")])
    await settle()
    assert (await ahead.fetch(FetchRequest("a"))).body == b"a"
    assert server.asked == ["a", "a"]


async def test_only_a_few_are_fetched_at_once_and_what_is_wanted_goes_first(
    server: Server,
) -> None:
    ahead = Prefetcher(server)
    requests = [FetchRequest(str(n)) for n in range(MOST_WAITING + 10)]
    ahead.prefetch(requests)
    await settle()
    assert len(server.asked) == MOST_AT_ONCE
    wanted = asyncio.create_task(ahead.fetch(requests[20]))
    await settle()
    assert server.asked[-1] == "20"
    server.may_answer.set()
    assert (await wanted).body == b"20"
    for _ in range(20):
        await settle()
    assert len(server.asked) == MOST_WAITING
    assert server.asked.count("20") == 1


async def test_only_gets_are_made_ahead(server: Server) -> None:
    Prefetcher(server).prefetch([FetchRequest("a", method="POST")])
    await settle()
    assert server.asked == []


async def test_at_the_end_nothing_goes_on(server: Server) -> None:
    ahead = Prefetcher(server)
    ahead.prefetch([FetchRequest(str(n)) for n in range(6)])
    await settle()
    ahead.close()
    await settle()
    server.may_answer.set()
    await settle()
    assert len(server.asked) == MOST_AT_ONCE
    assert len(asyncio.all_tasks()) == 1
