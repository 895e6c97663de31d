"""One server process: its application, and the thread that does what is not tied to a request."""

import contextlib
import gc
import logging
import os
from collections.abc import Callable
from multiprocessing import util

from flask import Flask
from sqlalchemy import select

from idp import (
    apikeys,
    applications,
    audit,
    clock_trust,
    federation,
    mail,
    nodes,
    ratelimit,
    runtime,
    setup,
    signals,
    tokens,
    trail,
    users,
)
from idp.app import create_app
from idp.crypto import MasterKeyError
from idp.db import db, reading, storage_errors, tell_before_waiting
from idp.errors import IdpError
from idp.oauth.backchannel import deliver_notices
from idp.oauth.client_documents import read_wanted
from idp.outages import explain_any
from idp.pool import behind_others
from idp.server.flows import Flows
from idp.server.front import CONNECTIONS, Front
from idp.server.lane import Lane
from idp.server.late_bodies import LateBodies
from idp.server.measures import WorkerMeter, measure_state
from idp.server.reception import Reception, replace_granians_runner
from idp.settings import Settings
from idp.stuck import LOOK_EVERY, end_stuck_statements
from idp.telemetry import Loop, RequestTelemetry, count, set_gauge
from idp.telemetry.metrics import flush as flush_metrics
from idp.telemetry.metrics import start_metrics
from idp.trail import BATCH
from idp.web.address import is_trusted
from idp.web.below_path import BelowPath
from idp.web.express import is_fast

SEND_MAIL_EVERY, SEND_MAIL_AT_LAST = 1.0, 30.0
"""Seconds between two checks of the outboxes by one worker, at the least and at the most; see `send_mail_every`."""

CHECKS_PER_SECOND = 8
"""How often all workers together check them, about: any of them sends what is due, so more would not send it sooner."""

WRITE_USAGE_EVERY = 1.0
"""Seconds between two writes of use counts and token events: what a killed worker can lose of them."""

SEAL_AGAIN_AFTER = 0.8
"""Part of the time between two sealings for which no other worker seals: it would read and hash the same for nothing."""

MOST_SEALINGS = 500
"""Batches that are sealed between two looks at whether checkpoints are to be pushed."""

CUT_EVERY = 3_600
"""Seconds between two looks at whether events of the audit trail are older than they are kept."""

_log = logging.getLogger(__name__)


class Chores:
    """The threads that write usage, rotate keys that are due, remove what has expired, send mail, fetch key sets, seal the trail.

    Mail has a thread of its own, and so have notices to applications, events to receivers, the fetching of key sets, and sealing
    with its checkpoints: whoever is called may take their time.
    """

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._rounds = 0
        self._meter = WorkerMeter(app, app.extensions["realmgate"].settings)
        self._chores = Loop("chores", WRITE_USAGE_EVERY, self._do_chores)
        self._postman = Loop("postman", SEND_MAIL_EVERY, self._send)
        self._herald = Loop("herald", SEND_MAIL_EVERY, lambda: self._guarded(deliver_notices))
        self._fetcher = Loop("fetcher", SEND_MAIL_EVERY, lambda: self._guarded(federation.fetch_due_keys))
        # apart from those of issuers: whoever registers an application says whom this one waits for
        self._key_fetcher = Loop("key fetcher", SEND_MAIL_EVERY, lambda: self._guarded(applications.fetch_due_keys))
        self._messenger = Loop("messenger", SEND_MAIL_EVERY, lambda: self._guarded(signals.push_events))
        self._reader = Loop("document reader", SEND_MAIL_EVERY, lambda: self._guarded(read_wanted))
        self._watchman = Loop("watchman", LOOK_EVERY, end_stuck_statements)
        self._sealer = Loop(
            "sealer", app.extensions["realmgate"].settings.audit_seal_seconds, lambda: self._guarded(_seal_and_push)
        )

    def start(self) -> None:
        """Begin."""
        self._watchman.start()
        self._guarded(clock_trust.is_believed)  # which begins to watch
        self._guarded(self._announce)
        for loop in (self._chores, *self._callers(), self._sealer):
            loop.start()

    def _callers(self) -> tuple[Loop, ...]:
        """Return the threads that call others. Any worker does what is due: the more there are, the less often each looks."""
        return (self._postman, self._herald, self._messenger, self._fetcher, self._key_fetcher, self._reader)

    def finish(self) -> None:
        """End the threads and write what is left. Called when the worker has answered its last request."""
        self._chores.finish(patience=10)
        self._postman.finish(patience=1)  # a mail that is on its way is left to another worker
        self._herald.finish(patience=1)  # so is a notice
        self._messenger.finish(patience=1)  # and an event
        self._fetcher.finish(patience=1)  # keys that are on their way are fetched again
        self._key_fetcher.finish(patience=1)
        self._reader.finish(patience=1)
        self._flush()
        self._sealer.finish(patience=1)  # as is a checkpoint that waits for an answer
        self._guarded(trail.seal_trail)
        self._guarded(nodes.leave)
        self._watchman.finish(patience=1)

    def _do_chores(self) -> None:
        self._flush()
        self._rounds += 1
        if self._rounds % nodes.ANNOUNCE_EVERY == 0:
            self._guarded(self._announce)
        if self._rounds % setup.TIDY_EVERY == 0:
            self._guarded(_do_what_is_due)
        else:
            self._guarded(_look_at_clock)  # it must not serve by a wrong one until the next tidying
        if self._rounds % setup.TIDY_EVERY == 0 or self._rounds == 1:
            self._guarded(measure_state)
        if self._rounds % CUT_EVERY == 0:
            self._guarded(_cut_old_events)

    def _announce(self) -> None:
        process = self._app.extensions["realmgate"]
        workers = nodes.announce(process.settings.workers)
        ratelimit.limiter(process).share_among(workers)
        for loop in self._callers():
            loop.every = send_mail_every(workers)

    def _send(self) -> None:
        self._guarded(_answer_reset_requests)
        self._guarded(mail.deliver_mail)

    def _flush(self) -> None:
        process = self._app.extensions["realmgate"]
        # each by itself: what cannot be written keeps nothing else waiting
        for gathered in (tokens.usage(process), apikeys.key_usage(process), users.password_usage(process)):
            self._guarded(gathered.flush)
        flush_metrics()
        self._guarded(self._meter.measure)

    def _guarded(self, chore: Callable[[], object]) -> None:
        """Do one chore; whatever goes wrong is logged, and tried again the next time."""
        with self._app.app_context(), behind_others():
            try:
                with storage_errors():
                    chore()
            except IdpError as error:
                db.session.rollback()
                _log.warning("%s: %s", getattr(chore, "__name__", "chore"), explain_any(error))
            except Exception:  # noqa: BLE001 (what is left to be done is done all the same)
                db.session.rollback()
                _log.exception("a chore failed")


def send_mail_every(workers: int) -> float:
    """Return how many seconds pass between two checks of the outboxes by one of so many workers."""
    return min(SEND_MAIL_AT_LAST, max(SEND_MAIL_EVERY, workers / CHECKS_PER_SECOND))


def _do_what_is_due() -> None:
    setup.do_what_is_due(in_turn=True)


def _look_at_clock() -> None:
    if clock_trust.was_set():
        clock_trust.is_believed()


def _cut_old_events() -> None:
    if clock_trust.is_believed() and nodes.take_turn("cutting the audit trail", CUT_EVERY - 60):
        trail.cut_old_events()


def _seal_and_push() -> None:
    every = runtime.current().settings.audit_seal_seconds
    if not nodes.take_turn("sealing", SEAL_AGAIN_AFTER * every):
        return
    for _ in range(MOST_SEALINGS):
        sealed = trail.seal_trail()
        count("realmgate_audit_events_sealed", sealed)
        if sealed < BATCH:
            break
    count("realmgate_audit_checkpoints_pushed", trail.push_checkpoints())
    set_gauge("realmgate_audit_events_unsealed", trail.count_unsealed())


def _answer_reset_requests() -> None:
    with reading() as session:
        if session.scalar(select(users.ResetRequest.id).limit(1)) is None:
            return
    with audit.acting_as(audit.SYSTEM):
        users.answer_reset_requests()


def _work_in_batches() -> None:
    """Have the threads that this one starts, which are all that serve, take the core from nobody but by the clock (sched(7)).

    Otherwise the thread that reads and writes takes it from one that is in the middle of an answer, for each request and each
    answer anew; so both go through all that waits for them, in turn. See docs/benchmarks.md for what that is worth.
    """
    if hasattr(os, "SCHED_BATCH"):  # on Linux
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def load() -> Reception:
    """Make the WSGI application of a worker; called by Granian in the worker's own process."""
    settings = Settings.load()
    _work_in_batches()
    start_metrics()
    try:
        app = create_app(settings)
    except MasterKeyError as error:  # the first start had one: what wraps it does not answer now, say
        _log.error("The worker cannot start: %s", error)
        raise SystemExit(1) from None
    telemetry = RequestTelemetry(
        app.wsgi_app,
        trusts=lambda environ: is_trusted(environ, settings.trusted_proxies),
        otlp_endpoint=settings.otlp_endpoint,
        access_log=settings.access_log,
    )
    chores = Chores(app)
    chores.start()
    # What was made so far lives as long as the process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    # Workers are multiprocessing children: those leave without running `atexit`, but not without these.
    util.Finalize(None, chores.finish, exitpriority=100)
    util.Finalize(None, telemetry.close, exitpriority=90)
    path, lane = settings.public_path, Lane()
    with app.app_context():
        tell_before_waiting(db.engine, lane.step_aside)
    flows = Flows(telemetry, port=settings.port, silence=settings.answer_timeout)
    inner = BelowPath(Front(flows, app, places=settings.threads, before_waiting=lane.step_aside), path)
    late_bodies = LateBodies(port=settings.port, threads=CONNECTIONS, seconds=settings.body_timeout)
    # where rates are counted in Valkey, each answer waits for that, and one thread would answer less than it could
    has_lane = not settings.valkey_url
    replace_granians_runner()
    return Reception(inner, late_bodies, lane, lambda asked: has_lane and is_fast(app, asked.removeprefix(path)))
