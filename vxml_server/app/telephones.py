"""Telephones that register with a server, and exchanges that it registers with."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Sequence

from vxml_server.clock import Clock
from vxml_server.settings import Settings
from vxml_server.sip import (
    Registrar,
    RegistrarRules,
    RegistrarSettings,
    Trunk,
    TrunkAccount,
    Trunks,
    UserAgent,
)
from vxml_server.store import Store


def registrar(settings: Settings, store: Store, user_agent: UserAgent, clock: Clock) -> Registrar:
    """The registrar of `user_agent`, which finds registered telephones from now on."""
    own = settings.sip.registrar
    made = Registrar(
        store,
        clock,
        random.Random(),  # spreads requests over time, and hides nothing
        user_agent.request,
        worker=settings.store.worker,
        settings=RegistrarSettings(
            domains=(*own.domains, settings.sip.realm, settings.media.address),
            rules=RegistrarRules(
                min_expires=own.min_expires,
                max_expires=own.max_expires,
                default_expires=own.expires,
                max_contacts=own.max_contacts,
            ),
            trusts_networks=own.trusted,
            keep_alive=own.keep_alive,
        ),
    )
    user_agent.register_with(made)
    user_agent.route_by(made.route)
    return made


def trunks(
    settings: Settings, user_agent: UserAgent, clock: Clock, chance: random.Random
) -> Trunks:
    """The trunks of `user_agent`, which calls by them and trusts them from now on."""
    made = Trunks(
        [
            Trunk(
                TrunkAccount(
                    name=one.name,
                    registrar=one.registrar,
                    user=one.user,
                    password=one.password.get_secret_value(),
                    expires=one.expires,
                ),
                user_agent.request,
                clock,
                chance,
                addresses,
            )
            for one in settings.trunks
        ]
    )
    user_agent.route_by(made.route)
    user_agent.trust(made.is_partner)
    return made


async def addresses(host: str) -> Sequence[str]:
    """The IP addresses of a host name, in the system's order; OSError when there are none."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return tuple(dict.fromkeys(str(one[4][0]) for one in found))
