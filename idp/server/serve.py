"""Running Granian (https://github.com/emmett-framework/granian) with the application in it."""

import gc
import os
import resource
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from idp import clock_trust, nodes
from idp.errors import IdpError
from idp.management import ManagementPort, PortError
from idp.scratch import scratch_folder
from idp.server import worker  # noqa: F401 (loaded once here for all workers, which are forked off this process)
from idp.server.announce import Announcement
from idp.server.front import CONNECTIONS
from idp.server.supervision import PatientServer
from idp.settings import VARIABLE, Settings
from idp.telemetry import share_metrics

BACKLOG = 1_024
"""Connections that wait to be taken up."""

MOST_DESCRIPTORS = 65_536
"""Open files that are asked for; the system may allow fewer."""


class ServeError(IdpError):
    """The server cannot listen."""


def run(settings: Settings, on_listening: Callable[[bool], None]) -> None:
    """Serve until SIGTERM or SIGINT: requests in hand are answered, and what is in memory is written, before it returns.

    :param on_listening: called once, when a worker answers, with whether there is a management port.
    :raises ServeError: the address cannot be bound.
    """
    _check_address(settings.host, settings.port)
    _allow_many_descriptors()
    # Workers read their settings themselves; give them exactly those of this process, and nothing from a file.
    os.environ[VARIABLE] = os.devnull
    for name, value in settings.model_dump(mode="json").items():
        os.environ[f"IDP_{name.upper()}"] = ",".join(value) if isinstance(value, list) else "" if value is None else str(value)
    clock_trust.remember_clock()
    nodes.begin_node()
    with scratch_folder(settings.data_dir) as scratch:
        _serve(settings, on_listening, scratch)


def _serve(settings: Settings, on_listening: Callable[[bool], None], metrics: Path) -> None:
    management = _management(settings, metrics)
    if management is not None:
        share_metrics(metrics)
    announcement = Announcement(settings, lambda: on_listening(management is not None))
    server = PatientServer(
        "idp.server.worker:load",
        has_answered=announcement.is_made,
        stop_delay=settings.stop_delay,
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        workers=settings.workers,
        backlog=BACKLOG,
        backpressure=CONNECTIONS,
        blocking_threads=CONNECTIONS,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=10_000, pipeline_flush=False),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=15,
        log_level=LogLevels.error,
        log_dictconfig=_logging(settings.log_level),
    )
    server.on_startup(announcement.start)
    if management is not None:
        server.on_startup(management.start)
    # What is loaded is in memory once for all workers, as long as nobody writes to it, which the collector would do. What the
    # setting up leaves behind, its keys too, goes first.
    gc.collect()
    gc.freeze()
    try:
        server.serve()
    finally:
        announcement.stop()
        if management is not None:
            management.stop()


def _allow_many_descriptors() -> None:
    """Raise the limit of open files as far as it goes, for this process and its workers: each connection takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _management(settings: Settings, metrics: Path) -> ManagementPort | None:
    """Return the management port, bound; None where there is none.

    :raises PortError: the port that was chosen is taken. One that nobody chose may be.
    """
    if not settings.chosen_management_port:
        return None
    try:
        return ManagementPort(settings, metrics)
    except PortError:
        if settings.management_port > 0:
            raise
        return None


def _check_address(host: str, port: int) -> None:
    """Find out beforehand whether the address is free, to say so in a sentence."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServeError(
                f"Cannot listen on {host} port {port} ({error.strerror}). Is a server running already? "
                "Choose another address with IDP_HOST and IDP_PORT."
            ) from error


def _logging(level: str) -> dict[str, Any]:
    """Return the logging configuration that Granian gives to each of its processes; ours for its own lines too."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "idp.log.JsonLines"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        # Libraries are held at `info` at the lowest: some write tokens and secrets at `debug` (Authlib does).
        "root": {"handlers": ["stderr"], "level": "INFO" if level == "debug" else level.upper()},
        "loggers": {
            "idp": {"level": level.upper()},
            "_granian": {"handlers": [], "propagate": True},
            "granian.access": {"handlers": [], "propagate": False},
        },
    }
