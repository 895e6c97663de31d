"""Metrics in Prometheus' form. Names and units follow its conventions; no label grows with realms, people or programs.

Each worker writes its numbers to files that all of them share, and the management port adds them up. The library decides when
it is imported whether it does so, which is why it is imported late.
"""

import logging
import os
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_COUNTERS = {
    "realmgate_tokens_issued": ("Tokens issued.", ("grant",)),
    "realmgate_refusals": ("Credentials refused.", ("kind",)),
    "realmgate_protocol_errors": ("Errors that endpoints of OpenID Connect answered.", ("error",)),
    "realmgate_rate_limited": ("Requests refused because a rate limit was reached.", ("limit",)),
    "realmgate_attempts_refused": ("Attempts refused because too many were made before.", ("limit",)),
    "realmgate_audit_events_sealed": ("Events of the audit trail added to a hash chain.", ()),
    "realmgate_audit_checkpoints_pushed": ("Checkpoints of the audit trail pushed off the box.", ()),
    "realmgate_logout_notices": ("Notices to applications that somebody has signed out.", ("outcome",)),
    "realmgate_signals_pushed": ("Security events pushed to receivers.", ("outcome",)),
    "realmgate_late_bodies": ("Requests ended because their body did not arrive in time.", ()),
    "realmgate_overload": ("Requests refused because all threads were busy.", ()),
    "realmgate_forwarded_ignored": ("Requests with X-Forwarded-For from a peer that is not a trusted proxy.", ()),
    "realmgate_leases_taken": ("Leases of keysets taken.", ()),
    "realmgate_keysets_damaged": ("Attempts to decrypt a damaged keyset.", ()),
    "realmgate_slow_statements": ("Statements to the database that took longer than IDP_SLOW_QUERY_SECONDS.", ()),
    "realmgate_pool_waits": ("Requests that had to wait for a connection to the database.", ()),
    "realmgate_pool_timeouts": ("Requests that have waited for a connection to the database in vain.", ()),
    "realmgate_pool_wait_seconds": ("Time that threads have waited for a connection to the database.", ()),
    "realmgate_feed_questions": ("Questions to the database whether anything has changed.", ()),
    "realmgate_feed_failures": ("Questions whether anything has changed that got no answer.", ()),
    "realmgate_feed_rows": ("Changes read from the database and applied to memory.", ()),
    "realmgate_feed_full_drops": ("Times that everything in memory was dropped.", ()),
    "realmgate_cpu_seconds": ("Processor time of the workers.", ()),
}
_SEEN_FROM_THE_START = {
    "realmgate_tokens_issued": ("client_credentials", "exchange", "authorization_code", "refresh_token"),
    "realmgate_refusals": ("client",),
    "realmgate_protocol_errors": ("invalid_client", "invalid_grant", "invalid_request", "slow_down", "temporarily_unavailable"),
    "realmgate_rate_limited": ("application", "realm", "failed-authentication", "credential", "api", "sign-in-seats"),
    "realmgate_attempts_refused": ("account", "address", "realm"),
    "realmgate_logout_notices": ("delivered", "put off", "given up"),
    "realmgate_signals_pushed": ("delivered", "refused", "put off"),
}
"""Values of a label that are shown, as 0, before the first is counted: Prometheus sees no rise in what it has not seen before."""

_GAUGES = {
    "realmgate_audit_events_unsealed": "Events of the audit trail that are not yet in a hash chain.",
    "realmgate_mail_waiting": "Emails in the outbox.",
    "realmgate_mail_oldest_seconds": "Age of the oldest email in the outbox.",
    "realmgate_background_threads_dead": "Background threads that have ended unexpectedly.",
    "realmgate_clock_ahead_seconds": "By how much this machine's clock is ahead of the database's.",
    "realmgate_realms": "Organisations.",
    "realmgate_secrets_expiring": "Client secrets that expire within seven days.",
    "realmgate_api_keys_expiring": "API keys that expire within seven days.",
    "realmgate_signing_key_age_seconds": "For how long the oldest signing key has been signing.",
    "realmgate_signing_keys_overdue": "Signing keys that should have been replaced.",
    "realmgate_workers": "Workers that are running.",
    "realmgate_workers_configured": "Workers that should be running.",
    "realmgate_memory_bytes": "Memory that the workers occupy.",
    "realmgate_pool_size": "Connections to the database that requests and background threads may have.",
    "realmgate_pool_open": "Connections to the database that are open, in use or not.",
    "realmgate_pool_in_use": "Connections to the database in use: the most at once in the last second.",
    "realmgate_feed_age_seconds": "Seconds since the database has confirmed what is in memory.",
    "realmgate_build_info": "Always 1; its labels say what is running.",
}

_GAUGE_LABELS = {"realmgate_build_info": ("version", "python", "database")}

_MODES: dict[str, Literal["livemax", "livesum"]] = {
    "realmgate_feed_age_seconds": "livemax",
    **dict.fromkeys(
        (
            "realmgate_background_threads_dead",
            "realmgate_workers",
            "realmgate_memory_bytes",
            "realmgate_pool_size",
            "realmgate_pool_open",
            "realmgate_pool_in_use",
        ),
        "livesum",
    ),
}
"""What is shown of a gauge's values in all living processes: their highest, or their sum. Of the others the newest value counts,
whichever process set it."""

_OF_THE_WATCHER = {"realmgate_worker_deaths": "Workers that have ended unexpectedly, and were replaced."}
"""Counters of the process that watches the workers."""

MOST_KINDS = 2_000
"""Kinds of answers told apart between two flushes."""

RESERVED = 1 << 20
"""Bytes of each file that a process writes its numbers to: the library's own measure, which they never reach."""

_log = logging.getLogger(__name__)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        from prometheus_client import Counter, Gauge, Histogram  # noqa: PLC0415 (see above)

        self._duration = Histogram(
            "realmgate_http_request_duration_seconds", "Time to answer a request.", ["area", "method", "code"], buckets=BUCKETS
        )
        self._counters = {name: Counter(name, text, labels) for name, (text, labels) in _COUNTERS.items()}
        self._gauges = {
            name: Gauge(name, text, _GAUGE_LABELS.get(name, ()), multiprocess_mode=_MODES.get(name, "mostrecent"))
            for name, text in _GAUGES.items()
        }
        self._gathered: dict[tuple[str, str, str], list[float]] = {}
        for name, values in _SEEN_FROM_THE_START.items():
            for value in values:
                self._counters[name].labels(value)

    def measure(self, area: str, method: str, code: str, seconds: float) -> None:
        """Note that a request was answered: in memory, where it costs a token least. `flush` hands it on, every second."""
        key = (area, method, code)
        gathered = self._gathered.get(key)
        if gathered is None:
            if len(self._gathered) >= MOST_KINDS:
                return  # methods and codes can be made up
            gathered = self._gathered.setdefault(key, [0.0] * (len(BUCKETS) + 2))
        gathered[bisect_left(BUCKETS, seconds)] += 1
        gathered[-1] += seconds

    def flush(self) -> None:
        """Add what was gathered to the histogram."""
        gathered, self._gathered = self._gathered, {}
        for (area, method, code), values in gathered.items():
            child = self._duration.labels(area, method if method in _METHODS else "other", code)
            # the library has no way to observe many values at once; one by one would cost each token three times as much
            for bucket, number in zip(child._buckets, values, strict=False):  # noqa: SLF001 (the client adds one observation at a time)
                if number:
                    bucket.inc(number)
            child._sum.inc(values[-1])  # noqa: SLF001 (the client adds one observation at a time)

    def count(self, name: str, number: float, labels: tuple[str, ...]) -> None:
        """Add to a counter."""
        counter: Any = self._counters[name]
        (counter.labels(*labels) if labels else counter).inc(number)

    def set_gauge(self, name: str, value: float, labels: tuple[str, ...]) -> None:
        """Set a gauge."""
        gauge: Any = self._gauges[name]
        (gauge.labels(*labels) if labels else gauge).set(value)


_metrics: list[Metrics] = []
"""The metrics of this process; none where nobody reads them."""


def share_metrics(folder: Path) -> None:
    """Have the processes that are started from now on write their numbers into a folder."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    # not by a thread that reads them: workers are forked meanwhile, see `idp.management.port`
    import prometheus_client.exposition  # noqa: PLC0415 (it looks for the folder when it is loaded)
    import prometheus_client.multiprocess  # noqa: F401, PLC0415 (its import has the effect)


def start_metrics() -> None:
    """Begin to count in this process, if somebody reads it, and if there is room for its numbers."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not folder or _metrics:
        return
    try:
        _reserve(Path(folder))
    except OSError as error:
        _log.warning("this process does not count, since its metrics cannot be kept in the data folder: %s", error.strerror)
    else:
        _metrics.append(Metrics())


def _reserve(folder: Path) -> None:
    """Have the files of this process all the space that they will need.

    The library maps them into memory with holes, and the system kills (SIGBUS) whoever writes to a hole when the disk is full.

    :raises OSError: there is no space.
    """
    kinds = ("counter", "histogram", "gauge_mostrecent", *(f"gauge_{mode}" for mode in set(_MODES.values())))
    files = [folder / f"{kind}_{os.getpid()}.db" for kind in kinds]
    try:
        for path in files:
            with path.open("ab") as file:
                if hasattr(os, "posix_fallocate"):  # not on macOS
                    os.posix_fallocate(file.fileno(), 0, RESERVED)
    except OSError:
        for path in files:  # whoever reads the metrics cannot read a part of one
            path.unlink(missing_ok=True)
        raise


def is_measured() -> bool:
    """Tell whether this process counts."""
    return bool(_metrics)


def measure(area: str, method: str, code: str, seconds: float) -> None:
    """Note that a request was answered, if this process counts."""
    if _metrics:
        _metrics[0].measure(area, method, code, seconds)


def flush() -> None:
    """Hand on what was gathered, if this process counts."""
    if _metrics:
        _metrics[0].flush()


def count(name: str, number: float = 1, *labels: str) -> None:
    """Add to a counter, if this process counts."""
    if _metrics:
        _metrics[0].count(name, number, labels)


def set_gauge(name: str, value: float, *labels: str) -> None:
    """Set a gauge, if this process counts."""
    if _metrics:
        _metrics[0].set_gauge(name, value, labels)


_watched = dict.fromkeys(_OF_THE_WATCHER, 0)


def count_watching(name: str) -> None:
    """Add one to a counter of the process that watches the workers, whose management port shows it beside theirs."""
    _watched[name] += 1


class _Watcher:
    """What the process that watches the workers has counted, as the library collects it."""

    def collect(self) -> Iterator[Any]:
        """Return each counter."""
        from prometheus_client.metrics_core import CounterMetricFamily  # noqa: PLC0415 (only where metrics are read)

        for name, text in _OF_THE_WATCHER.items():
            yield CounterMetricFamily(name, text, value=_watched[name])


def read_metrics(folder: Path) -> tuple[bytes, str]:
    """Return the numbers of all processes together, and their media type."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415 (only where metrics are read)
    from prometheus_client.exposition import CONTENT_TYPE_LATEST  # noqa: PLC0415 (only where metrics are read)
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415 (only where metrics are read)

    _forget_ended_processes(folder)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]  # the library's
    registry.register(_Watcher())
    return generate_latest(registry), CONTENT_TYPE_LATEST


def _forget_ended_processes(folder: Path) -> None:
    """Remove what the library keeps of processes that are gone for gauges that only living ones count in."""
    for file in folder.glob("gauge_live*_*.db"):
        pid = file.stem.rpartition("_")[2]
        if not Path("/proc", pid).exists() and Path("/proc/self").exists():
            file.unlink(missing_ok=True)
