"""Telephones that register with a server, and exchanges that it registers with."""

from __future__ import annotations

import random

from vxml_server.clock import Clock
from vxml_server.settings import Settings
from vxml_server.sip import Registrar, RegistrarRules, RegistrarSettings, UserAgent
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
