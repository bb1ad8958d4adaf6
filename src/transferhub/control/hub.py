"""`Hub`: all that a hub does for people and programs."""

from __future__ import annotations

from dataclasses import dataclass

from transferhub.control.channels import Channels
from transferhub.control.events import Events
from transferhub.control.history import History
from transferhub.control.journal import Journal
from transferhub.control.orders import Orders
from transferhub.control.people import Accounts
from transferhub.control.places import Places
from transferhub.control.tasks import Tasks
from transferhub.control.vault import Credentials
from transferhub.control.workers import Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """The services of `control`, each with its verbs."""

    tasks: Tasks
    orders: Orders
    workers: Workers
    accounts: Accounts
    credentials: Credentials
    events: Events
    channels: Channels
    places: Places
    history: History
    journal: Journal
