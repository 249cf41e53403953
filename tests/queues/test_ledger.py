"""Rows in the database: together, by generation, and seen by every worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.databases import BOTH, url_of
from tests.queues.contact_centre import TODAY, agent, queue
from tests.queues.machine import AGENTS, GROUPS, QUEUES
from vxml_server.clock import VirtualClock
from vxml_server.queues.ledger import IsDeclared, Ledger
from vxml_server.queues.profiles import Box
from vxml_server.queues.rows import AgentRow, Change, Entry, Exit, Offer, Presence
from vxml_server.queues.transitions import OfferEvent, advance, claim, enter, leave, present
from vxml_server.store import Store

pytestmark = BOTH

NOW = 1000.0
ANN = agent("ann")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(url_of(tmp_path), VirtualClock())
    yield opened
    await opened.close()


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger(store, "main.1")


async def ready(ledger: Ledger) -> tuple[AgentRow, Entry]:
    """Ann is available and somebody waits."""
    signed_in = present(AgentRow("ann"), Presence.AVAILABLE, NOW)
    entry = Entry("e1", "sales", "call", ledger.worker, NOW, skills={"x": 1}, data={"id": "7"})
    entered = enter(entry, NOW)
    assert await ledger.commit(signed_in, entered)
    return signed_in.agents[0], entered.entries[0]


async def test_what_was_stored_is_what_is_loaded(ledger: Ledger) -> None:
    row, entry = await ready(ledger)
    claimed = claim(row, ANN, entry, "o1", NOW)
    assert await ledger.commit(claimed)
    loaded = await ledger.load()
    assert (loaded.rows.agents, loaded.rows.entries, loaded.rows.offers) == (
        claimed.agents,
        claimed.entries,
        claimed.offers,
    )
    assert loaded.cursors == {"sales": "ann"}
    assert loaded.seq == 3


async def test_of_two_who_claim_one_agent_one_is_told_that_it_is_too_late(ledger: Ledger) -> None:
    row, first = await ready(ledger)
    entered = enter(Entry("e2", "sales", "call2", "other.1", NOW), NOW)
    assert await ledger.commit(entered)
    (second,) = entered.entries
    done = await asyncio.gather(
        ledger.commit(claim(row, ANN, first, "o1", NOW)),
        ledger.commit(claim(row, ANN, second, "o2", NOW)),
    )
    assert sorted(done) == [False, True]
    rows = (await ledger.load()).rows
    assert [offer.agent for offer in rows.offers] == ["ann"]
    assert rows.agents[0].busy == {"voice": 1}
    assert sum(entry.offers for entry in rows.entries) == 1


async def test_a_change_that_comes_too_late_leaves_no_trace(ledger: Ledger, store: Store) -> None:
    row, entry = await ready(ledger)
    assert await ledger.commit(present(row, Presence.ON_BREAK, NOW, "lunch"))
    before = await store.events()
    assert not await ledger.commit(claim(row, ANN, entry, "o1", NOW))
    assert await store.events() == before
    assert (await ledger.load()).rows.entries == (entry,)


async def test_changes_of_one_row_follow_one_another_in_one_transaction(ledger: Ledger) -> None:
    row, entry = await ready(ledger)
    claimed = claim(row, ANN, entry, "o1", NOW)
    assert await ledger.commit(claimed)
    (row,), (entry,), (offer,) = claimed.agents, claimed.entries, claimed.offers
    gone = advance(offer, OfferEvent.CALLER_GONE, row, ANN, entry, now=NOW + 5, today=TODAY)
    left = leave(gone.entries[0], Exit.ABANDONED, NOW + 5)
    assert await ledger.commit(gone, left)
    rows = (await ledger.load()).rows
    assert (rows.entries, rows.offers) == ((), ())
    assert rows.agents[0].busy == {"voice": 0}


async def test_facts_are_in_the_log_with_their_subjects_and_their_worker(
    ledger: Ledger, store: Store
) -> None:
    await ready(ledger)
    found = [(one.name, one.queue, one.agent, one.call_id) for one in await store.events()]
    assert found == [("agent.presence", "", "ann", ""), ("queue.entered", "sales", "", "call")]
    assert (await store.events())[1].data["worker"] == "main.1"


async def test_rows_are_asked_for_by_name_and_what_is_over_is_not_there(ledger: Ledger) -> None:
    row, entry = await ready(ledger)
    assert await ledger.rows(["ann", "bob"], ["e1", "e9"], ["o1"]) == Change(
        agents=(row,), entries=(entry,)
    )


async def test_of_the_log_the_newest_facts_are_read_and_no_more(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        entered = enter(Entry(f"e{number}", "sales", "call", ledger.worker, NOW), NOW)
        gone = leave(entered.entries[0], Exit.ABANDONED, NOW + number)
        assert await ledger.commit(entered, gone)

    async def waited(seq: int) -> list[object]:
        facts = await ledger.past({"queue.left", "queue.connected"}, seq)
        return [fact.data["waited"] for fact in facts]

    assert await waited(20) == [float(number) for number in range(10)]
    assert await waited(13) == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    monkeypatch.setattr("vxml_server.queues.ledger.PAST", 5)
    assert await waited(20) == [7.0, 8.0, 9.0]


async def test_definitions_are_kept_replaced_and_removed(ledger: Ledger) -> None:
    for definition in (*AGENTS, *GROUPS, *QUEUES):
        await ledger.define(definition, NOW, declared=definition in GROUPS)
    assert not await ledger.define(agent("ann", description="new"), NOW)
    assert await ledger.undefine("agent", "dan", NOW)
    assert not await ledger.undefine("agent", "dan", NOW)
    known = await ledger.definitions()
    assert [one.name for one in known.agents] == ["ann", "bob", "cyd"]
    assert known.agents[0].description == "new"
    assert known.groups == GROUPS
    assert {one.name: one for one in known.queues} == {one.name: one for one in QUEUES}
    assert known.declared == {("group", "first"), ("group", "second")}


async def test_a_definition_that_is_so_already_is_not_stored_again(
    ledger: Ledger, store: Store
) -> None:
    other = Ledger(store, "other.1")
    assert await ledger.define(agent("ann", languages=frozenset(["fr", "en"])), NOW)
    assert not await other.define(agent("ann", languages=frozenset(["en", "fr"])), NOW)
    assert not await other.define(agent("ann"), NOW)
    assert await other.undefine("agent", "ann", NOW)
    assert await ledger.define(agent("ann"), NOW)
    names = [fact.name for fact in await store.events()]
    assert names == ["agent.defined", "agent.defined", "agent.removed", "agent.defined"]


async def test_of_many_who_make_one_definition_one_has_made_it(
    ledger: Ledger, store: Store
) -> None:
    made = await asyncio.gather(*(ledger.define(GROUPS[0], NOW) for _ in range(5)))
    assert sorted(made) == [False, False, False, False, True]
    assert len(await store.events()) == 1


async def test_what_the_settings_declare_they_alone_change(ledger: Ledger, store: Store) -> None:
    await ledger.define(ANN, NOW, declared=True)
    for definition in (ANN, agent("ann", description="new")):
        with pytest.raises(IsDeclared):
            await ledger.define(definition, NOW)
    with pytest.raises(IsDeclared):
        await ledger.undefine("agent", "ann", NOW)
    assert len(await store.events()) == 1
    assert await ledger.undefine("agent", "ann", NOW, declared=True)


async def test_the_log_does_not_have_what_may_be_a_secret_in_the_url_of_a_webhook(
    ledger: Ledger, store: Store
) -> None:
    box = Box("sales", webhook="https://ann:pass@crm.example.org:8443/hooks/s3cret?key=42")
    await ledger.define(box, NOW)
    (known,) = (await ledger.definitions()).boxes
    assert known == box
    (fact,) = await store.events()
    told = fact.data["definition"]
    assert isinstance(told, dict)
    assert told["webhook"] == "https://crm.example.org"


async def test_what_a_dead_worker_had_is_found_and_put_right_by_one(
    ledger: Ledger, store: Store
) -> None:
    other = Ledger(store, "other.1")
    await ledger.join()
    await other.join()
    row, entry = await ready(other)
    claimed = claim(row, ANN, entry, "o1", NOW)
    assert await other.commit(claimed)
    assert await ledger.beat()
    assert await ledger.beats() == {"main.1": 1, "other.1": 0}
    assert sorted(await asyncio.gather(*(ledger.bury("other.1") for _ in range(2)))) == [
        False,
        True,
    ]
    assert not await other.beat(), "it learns that it is taken for dead"
    left = await ledger.abandoned()
    assert (left.agents, left.entries, left.offers) == (
        claimed.agents,
        claimed.entries,
        claimed.offers,
    )


async def test_a_wrap_up_goes_on_without_its_worker(ledger: Ledger) -> None:
    row, entry = await ready(ledger)
    change = claim(row, ANN, entry, "o1", NOW)
    changes = [change]
    for event in (OfferEvent.ANSWER, OfferEvent.BRIDGE, OfferEvent.HANG_UP):
        offer: Offer = change.offers[0]
        row = change.agents[0] if change.agents else row
        entry = change.entries[0] if change.entries else entry
        change = advance(offer, event, row, ANN, entry, now=NOW, today=TODAY)
        changes.append(change)
    assert await ledger.commit(*changes)
    assert await ledger.abandoned() == Change()


async def test_a_queue_and_its_agents_may_be_called_as_they_like(ledger: Ledger) -> None:
    await ledger.define(queue("été", ["ann"]), NOW)
    assert [one.name for one in (await ledger.definitions()).queues] == ["été"]
