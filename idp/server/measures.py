"""What a worker measures of itself, and of the state of the whole server."""

import os
import platform
import time
from datetime import timedelta
from pathlib import Path

from flask import Flask

import idp
from idp import apikeys, applications, clock, keys, mail, realms
from idp.db import db
from idp.feed import Feed
from idp.pool import BoundedPool
from idp.settings import Settings
from idp.telemetry import count, is_measured, set_gauge

EXPIRING_SOON = timedelta(days=7)

_STATM = Path("/proc/self/statm")


class WorkerMeter:
    """The numbers of one worker: what other parts count as plain integers becomes metrics here, every second."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        """Begin, and say what is running."""
        self._app = app
        self._feed: Feed = app.extensions["realmgate"].feed
        self._began = time.monotonic()
        self._known: dict[str, float] = {}
        database = "sqlite" if settings.is_sqlite else "postgresql"
        set_gauge("realmgate_build_info", 1, idp.__version__, platform.python_version(), database)
        set_gauge("realmgate_workers", 1)
        set_gauge("realmgate_workers_configured", settings.workers)

    def measure(self) -> None:
        """Measure now. Runs in an application context."""
        if not is_measured():
            return
        _measure_memory()
        self._add(realmgate_cpu_seconds=time.process_time())
        pool = db.engine.pool
        assert isinstance(pool, BoundedPool)
        set_gauge("realmgate_pool_size", pool.size())
        set_gauge("realmgate_pool_open", pool.opened)
        set_gauge("realmgate_pool_in_use", pool.take_peak())
        counts = pool.counts
        self._add(
            realmgate_pool_waits=counts.waits,
            realmgate_pool_timeouts=counts.timeouts,
            realmgate_pool_wait_seconds=counts.seconds,
        )
        self._measure_feed()

    def _measure_feed(self) -> None:
        # a worker that has nothing to do confirms nothing: it is asked to here, so that the age tells of the database alone
        age = self._feed.confirm_unless_away()
        set_gauge("realmgate_feed_age_seconds", min(age, time.monotonic() - self._began))
        counts = self._feed.counts
        self._add(
            realmgate_feed_questions=counts.questions,
            realmgate_feed_failures=counts.failures,
            realmgate_feed_rows=counts.rows,
            realmgate_feed_full_drops=counts.full_drops,
        )

    def _add(self, **now: float) -> None:
        """Add to counters what numbers have grown by since they were last looked at."""
        for name, value in now.items():
            grown = value - self._known.get(name, 0)
            count(name, grown if grown >= 0 else value)  # it has begun anew
            self._known[name] = value


def _measure_memory() -> None:
    if _STATM.exists():
        set_gauge("realmgate_memory_bytes", int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))


def measure_state() -> None:
    """Measure what changes slowly, and what an operator wants to be told of before it breaks something."""
    soon = clock.now() + EXPIRING_SOON
    set_gauge("realmgate_realms", sum(realms.count_realms().values()))
    set_gauge("realmgate_mail_waiting", mail.count_waiting())
    set_gauge("realmgate_mail_oldest_seconds", mail.oldest_waiting())
    set_gauge("realmgate_secrets_expiring", applications.count_expiring(soon))
    set_gauge("realmgate_api_keys_expiring", apikeys.count_expiring(soon))
    set_gauge("realmgate_signing_key_age_seconds", keys.oldest_signing())
    set_gauge("realmgate_signing_keys_overdue", keys.count_overdue())
    db.session.rollback()
