"""The room as the settings make it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.voicemail.world import World, said, world_of
from vxml_server.queues import Box
from vxml_server.settings import MailSettings, VoicemailSettings
from vxml_server.voicemail import Message, Voicemail, make_voicemail

MAIL = {"host": "127.0.0.1", "sender": "pbx@example.org"}
BOX = Box("ann", email=("ann@example.org",))
HOOK = Box("hook", webhook="http://127.0.0.1:1/")


@asynccontextmanager
async def made(world: World, mail: dict[str, Any], **settings: Any) -> AsyncIterator[Voicemail]:
    voicemail = make_voicemail(
        VoicemailSettings.model_validate(settings),
        MailSettings.model_validate(mail),
        board=world.board,
        store=world.store,
        archive=world.archive,
        clock=world.clock,
        random=random.Random(),
        allow=frozenset(),
        language="fr",
        zone=UTC,
    )
    yield voicemail
    await voicemail.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with world_of(tmp_path, BOX, HOOK, runs=False) as one:
        yield one


async def _left(voicemail: Voicemail, box: str) -> Message:
    return await voicemail.leave(box, said(), "audio/x-wav", caller="", call_id="c")


@pytest.mark.parametrize(
    ("mail", "box", "notified"),
    [({}, "ann", "none"), (MAIL, "ann", "pending"), ({}, "hook", "pending")],
)
async def test_without_a_mail_server_nobody_waits_for_mail(
    world: World, mail: dict[str, Any], box: str, notified: str
) -> None:
    async with made(world, mail) as voicemail:
        assert (await _left(voicemail, box)).notified == notified


async def test_webhooks_are_held_to_the_addresses_that_may_be_fetched(world: World) -> None:
    async with made(world, {}) as voicemail:
        left = await _left(voicemail, "hook")
        await voicemail._notifier.round()
        [notice] = await voicemail._ledger.due(left.left_at + timedelta(days=1), 10)
        assert "not public" in notice.trouble


async def test_messages_are_kept_as_long_as_the_settings_say(world: World) -> None:
    async with made(world, {}, retention_days=7) as voicemail:
        left = await _left(voicemail, "ann")
        recording = await voicemail.library.get(left.id)
        assert recording.expires_at == left.left_at + timedelta(days=7)
