"""Claiming that a proof is new, at little cost: it comes before each token that is bound, and each use of one."""

import sqlite3
import threading
from typing import Any

from sqlalchemy import Connection

from idp.db import insert_alone, make_engine_apart
from idp.proofs.models import UsedProof
from idp.settings import Settings

_CLAIM = "INSERT OR IGNORE INTO used_proof (proof) VALUES (?)"


class Claims:
    """What claims proofs for one process.

    On SQLite it has a connection of its own, past SQLAlchemy, which takes ten times as long, and without a wait for the disk.
    """

    def __init__(self, settings: Settings) -> None:
        self._lock = threading.Lock()
        self._engine = make_engine_apart(settings) if settings.is_sqlite else None
        self._connection: Connection | None = None
        self._driver: Any = None

    def claim(self, proof: str) -> bool:
        """Claim a proof, and commit that. Of all who try, on every worker and node, one gets True.

        :param proof: what is remembered of it; see `UsedProof`.
        :raises StorageUnavailableError: the database does not answer.
        """
        if self._engine is not None:
            try:
                with self._lock:
                    return bool(self._open().execute(_CLAIM, (proof,)).rowcount)
            except sqlite3.Error:
                self.close()  # what is the matter, the way that everything else goes finds out
        return insert_alone(UsedProof, proof=proof)

    def _open(self) -> Any:
        if self._driver is None:
            assert self._engine is not None
            self._connection = self._engine.connect()
            driver = self._connection.connection.driver_connection
            assert driver is not None
            driver.execute("PRAGMA synchronous=NORMAL")
            self._driver = driver
        return self._driver

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            connection, self._connection, self._driver = self._connection, None, None
        if connection is not None:
            connection.close()
