"""The parts of the server over one database."""

import sqlite3
from dataclasses import dataclass
from typing import Self

from pitstop.devstack.sqlite_file import open_database
from pitstop.devstack.stripe_server.config import Config
from pitstop.devstack.stripe_server.faults import Faults
from pitstop.devstack.stripe_server.outbox import Outbox
from pitstop.devstack.stripe_server.rules import Rules
from pitstop.devstack.stripe_server.storage import SCHEMA, Calls, Objects


@dataclass(frozen=True, slots=True)
class Parts:
    config: Config
    database: sqlite3.Connection
    objects: Objects
    calls: Calls
    rules: Rules
    outbox: Outbox
    faults: Faults

    @classmethod
    def open(cls, config: Config) -> Self:
        database = open_database(config.data, SCHEMA)
        objects, rules = Objects(database), Rules(database)
        return cls(
            config=config,
            database=database,
            objects=objects,
            calls=Calls(database),
            rules=rules,
            outbox=Outbox(database, objects, rules, config.default_endpoint),
            faults=Faults(rules, objects),
        )
