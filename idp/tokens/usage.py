"""Who used what: gathered in memory while tokens are issued, and written in batches.

A `kill -9` loses what has not been written yet: at most a second's worth, see docs/audit.md. A graceful end loses nothing.
"""

import logging
import threading
from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, update

from idp import audit, clock
from idp.applications import Application, ApplicationSecret, DayCount, KnownApplication, KnownSecret, Origin, count_use, day_of
from idp.audit import AuditEvent, Refusal, Refusals, Tag
from idp.db import commit, db, storage_errors
from idp.runtime import Runtime
from idp.telemetry import count, own_trace, span

MOST_WAITING = 100_000
"""Events kept while the database cannot be written. Further ones are counted, and the count is recorded."""

_DAY = 86_400
"""Seconds of a day (UTC)."""

_NOBODY = 0
"""Stands for an application that there is not: no row has this number."""

_log = logging.getLogger(__name__)


class _Issue(NamedTuple):
    at: float
    realm: str
    client_id: str
    application_id: int
    secret: KnownSecret | None
    method: str
    """How the application has shown who it is."""
    address: str
    jti: str
    id_token: bool
    tag: Tag
    origin: Origin | None
    assertion: str


def _method(application: KnownApplication, secret: KnownSecret | None) -> str:
    """Return how an application has shown who it is."""
    if application.origin is not None:
        return "federation"
    if application.kind.is_public:
        return "none"
    return "client_secret" if secret else "private_key_jwt"


_LABELS = {Tag.TOKEN_EXCHANGE: "exchange", Tag.TOKEN_CODE: "authorization_code", Tag.TOKEN_REFRESH: "refresh_token"}
"""What metrics call the grants, beside `client_credentials`."""


class Usage:
    """What one worker has not written yet."""

    def __init__(self) -> None:
        self._issues: list[_Issue] = []
        self._refusals = Refusals()
        self._refused: Counter[tuple[int, datetime]] = Counter()
        """How often applications were refused, by their number and the day: as many as there are applications, whoever asks."""
        self._lost = 0
        self._lock = threading.Lock()

    def issued(
        self,
        realm: str,
        application: KnownApplication,
        secret: KnownSecret | None,
        address: str,
        jti: str,
        *,
        id_token: bool,
        tag: Tag = Tag.TOKEN_ISSUE,
        assertion: str = "",
    ) -> None:
        """Note that tokens were issued, or with another tag how.

        :param assertion: hash of the assertion of another issuer that has admitted the application; empty for none.
        """
        now = clock.timestamp()
        method = _method(application, secret)
        issue = _Issue(
            now,
            realm,
            application.name,
            application.id,
            secret,
            method,
            address,
            jti,
            id_token,
            tag,
            application.origin,
            assertion,
        )
        with span("note usage"), self._lock:
            if len(self._issues) < MOST_WAITING:
                self._issues.append(issue)
            else:
                self._lost += 1

    def refused(self, realm: str, application: KnownApplication | None, address: str, reason: str) -> None:
        """Note that a client was refused. The same refusal is counted, not repeated.

        :param application: the one it claimed to be; None when there is no such application. What was sent in its place is
            not recorded: a secret that was put into the wrong field would stand in the trail for good.
        """
        client_id = application.name if application else audit.UNKNOWN
        day = day_of(clock.now())
        with self._lock:  # the same work for one that there is not, so that the time does not tell (T88)
            self._refused[application.id if application else _NOBODY, day] += 1
        self._refusals.add(Refusal(Tag.TOKEN_REFUSE, realm, f"application:{client_id}", reason, address))

    def _take_back(self, issues: list[_Issue], lost: int, refused: Counter[tuple[int, datetime]]) -> None:
        """Keep what could not be written for the next time, within the same bounds."""
        with self._lock:
            self._refused.update(refused)
            kept = (issues + self._issues)[:MOST_WAITING]
            self._lost += lost + len(issues) + len(self._issues) - len(kept)
            self._issues = kept

    def flush(self) -> int:
        """Write what was gathered, in one transaction, and return the number of events. Runs in an application context.

        When they cannot be written, everything is kept for the next time.
        """
        with self._lock:
            issues, self._issues = self._issues, []
            lost, self._lost = self._lost, 0
            refused, self._refused = self._refused, Counter()
        events = [_issue_event(issue) for issue in issues] + audit.lost_events("token", lost)
        try:
            with self._refusals.written() as refusals, storage_errors():
                events += audit.refusal_events(refusals)
                if events or refused:
                    with own_trace("write usage"):
                        _write(issues, events, refused)
        except BaseException:
            self._take_back(issues, lost, refused)
            _log.warning("%d events wait to be written", len(events))
            raise
        return len(events)


def usage(process: Runtime) -> Usage:
    """Return the usage gathered by this process."""
    found: Usage | None = process.extensions.get("usage")
    return found if found is not None else process.extensions.setdefault("usage", Usage())


def _write(issues: list[_Issue], events: list[dict[str, Any]], refused: Counter[tuple[int, datetime]]) -> None:
    by_application = Counter(issue.application_id for issue in issues)
    last_issue = {issue.application_id: issue for issue in issues}
    secrets = [issue for issue in issues if issue.secret is not None]
    by_secret = Counter(issue.secret.id for issue in secrets if issue.secret)
    last_of_secret = {issue.secret.id: issue for issue in secrets if issue.secret}
    # always in the order of their ids, so that two workers never wait for each other
    applications = [{"row": row, "n": by_application[row], "at": _time(last_issue[row].at)} for row in sorted(by_application)]
    used = [
        {"row": row, "n": by_secret[row], "at": _time(last_of_secret[row].at), "address": last_of_secret[row].address}
        for row in sorted(by_secret)
    ]
    connection = db.session.connection()
    if events:  # a refusal that was just going to be noted is counted already
        connection.execute(insert(AuditEvent), events)
    # What other workers of the same application add to comes last, so that they wait for the commit only, and not for the events.
    if applications:
        connection.execute(
            update(Application)
            .where(Application.id == bindparam("row"))
            .values(token_count=Application.token_count + bindparam("n"), last_used_at=bindparam("at")),
            applications,
        )
    if used:
        connection.execute(
            update(ApplicationSecret)
            .where(ApplicationSecret.id == bindparam("row"))
            .values(
                use_count=ApplicationSecret.use_count + bindparam("n"),
                last_used_at=bindparam("at"),
                last_used_address=bindparam("address"),
            ),
            used,
        )
    count_use(_by_day(issues, refused))
    audit.count_events(events)
    commit()
    for tag, number in Counter(issue.tag for issue in issues).items():
        count("realmgate_tokens_issued", number, _LABELS.get(tag, "client_credentials"))
    refusals = sum(event["detail"]["count"] for event in events if event["tag"] == Tag.TOKEN_REFUSE.value)
    count("realmgate_refusals", refusals, "client")


def _by_day(issues: list[_Issue], refused: Counter[tuple[int, datetime]]) -> dict[tuple[int, datetime], DayCount]:
    """Return what is to be added to the days of applications, see `count_use`."""
    counts: defaultdict[tuple[int, datetime], DayCount] = defaultdict(DayCount)
    for (row, number), times in Counter((issue.application_id, int(issue.at // _DAY)) for issue in issues).items():
        counts[row, _time(number * _DAY)].issued = times
    for (row, day), times in refused.items():
        if row != _NOBODY:
            counts[row, day].refused = times
    return counts


def _issue_event(issue: _Issue) -> dict[str, Any]:
    return audit.event_values(
        _time(issue.at),
        issue.realm,
        issue.tag,
        f"application:{issue.client_id}",
        f"token:{issue.jti}",
        issue.address,
        "success",
        method=issue.method,
        secret=issue.secret.name if issue.secret else None,
        id_token=issue.id_token,
        **_admission(issue),
    )


def _admission(issue: _Issue) -> dict[str, str]:
    """Return by whose word the application was admitted, as the trail is told."""
    if issue.origin is None:
        return {}
    origin = issue.origin
    return {"issuer": origin.issuer, "subject": origin.subject, "rule": origin.rule, "assertion": issue.assertion}


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
