"""Every setting: its type, its limits, its default, and what it means.

docs/settings.md is made from the docstring under each field (`idp settings`).
"""

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ModelWrapValidatorHandler, PrivateAttr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from idp.database_url import check_url, sqlite_url
from idp.described import Described
from idp.networks import read_network
from idp.outside_names import read_outside_keys
from idp.public_url import canonical_url
from idp.redaction import Confidential, ConfidentialUnchecked

TOKEN_LIFETIME = 36_000
"""Lifetime of an application's access and ID tokens in seconds. Fixed: verifiers and key rotation rely on it."""

SESSION_TOKEN_LIFETIME = 900
"""Lifetime of a session token in seconds. Fixed: offline verifiers rely on it."""

CLOCK_LEEWAY = 60
"""Seconds by which the clocks of two honest parties may differ (RFC 8725 §3.8)."""


ServerUrl = Annotated[str, Field(repr=False), Confidential()]
"""A URL that may hold a user name and a password."""

HookUrl = Annotated[str, Field(repr=False), Confidential(in_path=True)]
"""A URL any part of which may be a token, except the host."""


class Fields(Described, BaseSettings):
    """All settings with what they accept. Frozen: what was read at start applies until the process ends."""

    model_config = SettingsConfigDict(
        env_prefix="IDP_",
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on. The default is reachable from this machine only; `0.0.0.0` listens on all IPv4 addresses."""

    port: int = Field(default=8080, ge=1, le=65535)
    """TCP port to listen on."""

    public_url: Annotated[str, AfterValidator(canonical_url)] = ""
    """URL under which clients reach the server. The issuer of every token begins with it, and it is never taken from a request.
    It is normalised to the form that browsers use: host in lower case and punycode, no default port (`:443` of `https://`),
    no trailing slash; the server says so at start if that changes it. With a path (`https://example.com/idp`), the server is
    below that path. Default: `http://127.0.0.1:<port>`. Use `https://` for anything but loopback."""

    management_host: str = "127.0.0.1"
    """Address to serve metrics and health on, for the operator's machines, separate from the public one."""

    management_port: int = Field(default=-1, ge=-1, le=65535)
    """TCP port of `/metrics`, `/health/live` and `/health/ready` for the operator's machines. 0 turns it off. Default (-1):
    1000 above the port of the server, 9080 for 8080; if that is in use, the server starts without it and says so."""

    data_dir: Path = Path("var")
    """Folder for the database and the master key; created with mode 0700 if missing."""

    database_url: ServerUrl = ""
    """URL of the database: `postgresql://user@host/name`, with everything that PostgreSQL's own clients accept in it, or
    `sqlite:////absolute/path.db`, with `%20` for a space. Default: SQLite in the data folder (WAL, `synchronous=FULL`)."""

    database_connections: int = Field(default=10, ge=5, le=1_000)
    """Most connections to PostgreSQL per worker, whatever the number of its threads. Requests wait up to 4.5 seconds for one,
    and are then answered 503."""

    realms_dir: Path = Path("realms")
    """Folder of realm files (`*.toml`). Each realm that does not exist yet is created from its file at start. An
    invalid file causes a warning and does not keep other realms from being served."""

    workers: int = Field(default=1, ge=1, le=64)
    """Server processes. One per core is a good start."""

    threads: int = Field(default=32, ge=1, le=256)
    """How many requests each worker handles at once. Further ones wait for three seconds, and are then answered 503.
    More threads do not make signing faster."""

    stop_delay: int = Field(default=0, ge=0, le=300)
    """Seconds for which a server that was told to end (SIGTERM) goes on answering, while `/health/ready` is 503 already: as long
    as proxies need to leave it out, so that no request is lost. A second signal ends it at once."""

    master_key_file: Path = Path()
    """File that holds the master key and its predecessors, which encrypt signing keys, peppers, keysets and emails in the
    database. Created with mode 0600 if missing; servers notice when it changes. Keep a copy separate from the database's
    backups. Default: `master.key` in the data folder."""

    outside_keys: Annotated[str, Field(repr=False), ConfidentialUnchecked()] = ""
    """Keys in a security module or a key service that encrypt the keys in the master key file, so that the file alone opens
    nothing: `pkcs11:token=…;object=…?module-path=…&pin-source=file:…` (RFC 7512) or `awskms:` and an ARN, a key id or an
    alias. Several are separated by spaces: the first encrypts new master keys, all decrypt. `none` in front leaves new ones
    in the file as they are. docs/outside-keys.md explains them. Default: none."""

    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses or networks of the reverse proxies whose `X-Forwarded-For` is trusted, separated by commas, and whose
    `X-Forwarded-Proto` says whether a request came over HTTPS, without which no keyset values are sent. From anyone
    else, these headers are ignored. Default: none."""

    client_certificate_header: str = ""
    """Header in which the proxies of `IDP_TRUSTED_PROXIES` hand over the client certificate of a TLS connection that they end:
    `Client-Cert` of RFC 9440, or one with escaped PEM, with base64 of DER, or Envoy's `X-Forwarded-Client-Cert`. They must drop
    it where a client sends it itself, also with `_` in the place of `-`. From anyone else, it is ignored. Default: none."""

    key_set_max_age: int = Field(default=300, ge=3, le=86_400)
    """Seconds that verifiers may cache a realm's key set. A new signing key is announced for twice this time before
    it starts signing, so that no verifier meets an unknown key. Less than 3 would leave workers no time to learn of it."""

    stale_documents: int = Field(default=3_600, ge=0, le=604_800)
    """Seconds for which the key set, discovery and the realm document are answered from memory while the database does not
    answer, so that verifiers keep working. A key that another node revokes or makes meanwhile is not known to them. 0 for
    not at all."""

    cache_size: int = Field(default=20_000, ge=10, le=10_000_000)
    """Applications (and users, API keys, keysets) that each worker keeps in memory, ready to answer without the database
    (about 4 KB each)."""

    body_timeout: int = Field(default=10, ge=1, le=300)
    """Seconds within which a request's body must arrive; one that takes longer is answered 408, or already after one second
    while half of the worker's 1,024 connections are waiting for bodies. Headers always have ten seconds."""

    answer_timeout: int = Field(default=60, ge=1, le=3600)
    """Seconds for which a client may take nothing of a file that is sent while it is made (an access review as CSV, say); then
    it is cut off. On Linux only."""

    password_hashers: int = Field(default=1, ge=1, le=16)
    """Passwords that each worker hashes at the same time, each on a low-priority thread and with 64 MiB of memory.
    Further sign-ins wait in a short queue, of which one address (for IPv6, one /48 network) gets at most a third, and for three
    seconds at most; beyond that they are told to try again later."""

    sign_in_window: int = Field(default=300, ge=1, le=86_400)
    """Seconds over which failed sign-ins are counted. When a limit below is reached, further ones have to wait until it ends."""

    sign_in_limit_account: int = Field(default=10, ge=1, le=1_000_000)
    """Failed sign-ins to one account from one address (for IPv6, one /64 network) in that time, by any method, after which
    further ones from there are refused unchecked."""

    sign_in_limit_account_everywhere: int = Field(default=100, ge=1, le=1_000_000)
    """Failed sign-ins to one account in that time, from all addresses together."""

    sign_in_limit_address: int = Field(default=100, ge=1, le=1_000_000)
    """Failed sign-ins from one address (for IPv6, one /64 network) in that time; five times as many from a /48 network."""

    sign_in_limit_realm: int = Field(default=2_000, ge=1, le=1_000_000)
    """Failed sign-ins to the accounts of one realm in that time. Names that do not exist do not count."""

    valkey_url: ServerUrl = ""
    """URL of a Valkey (or Redis) in which all workers and nodes count their rates together, such as
    `valkey://10.0.0.7:6379/0`. Without one, each worker allows its share. If it cannot be reached, each worker counts
    on its own and allows half of its share."""

    rate_api: int = Field(default=10, ge=0, le=1_000_000)
    """API calls that one address may make per second to each resource (the first part of the path after the
    version); bursts may be five times as large. 0 for no limit."""

    leases_per_application: int = Field(default=1_000, ge=1, le=100_000)
    """Leases of keysets that one application may hold at a time. Further requests are answered 429."""

    rate_password_reset: int = Field(default=2, ge=0, le=1_000_000)
    """Password resets that one address may request per second; bursts may be five times as large. 0 for no limit."""

    rate_application: int = Field(default=5_000, ge=0, le=10_000_000)
    """Tokens that one application may fetch per second; bursts may be five times as large. An application can have a limit of
    its own. 0 for no limit."""

    rate_realm: int = Field(default=20_000, ge=0, le=10_000_000)
    """Tokens that all applications of a realm together may fetch per second; bursts may be five times that. 0 for no limit."""

    rate_failures: int = Field(default=10, ge=0, le=1_000_000)
    """Failed authentications of one application from one address (for IPv6, one /64 network) after which further failures are
    answered 429, except for one every six seconds. A correct secret is still accepted. 0 for no limit."""

    audit_seal_seconds: float = Field(default=5, ge=0.1, le=3600)
    """Seconds between two sealings of the audit trail: how long it takes until a new entry is in the hash chain."""

    audit_push_seconds: int = Field(default=60, ge=0, le=86_400)
    """Seconds between two checkpoints of one realm pushed to the same place."""

    audit_archive_dir: Path | None = None
    """Folder that audit events are written to before they are removed at the end of their retention period: files in the
    form of an export, mode 0600. Without one, they are lost. The retention period is a setting of the realm."""

    audit_push_file: Path | None = None
    """File that checkpoints of the audit trail are appended to, one JSON object per line. Keep it on another machine, or
    let the server only append to it (`chattr +a`)."""

    audit_push_syslog: ServerUrl = ""
    """Syslog server that checkpoints are sent to: `udp://host:514` or `tcp://host:601`."""

    audit_push_webhook: HookUrl = ""
    """URL that checkpoints are POSTed to, as JSON lines. Redirects are not followed."""

    compat_realm: str = ""
    """Realm that `/api/v1/token` and `/api/v2/token` serve, since their paths name none. Default: the only realm besides
    `master`, if there is just one."""

    sign_up: str = "off"
    """Who may create an organisation: `off` (operators only), `approval` (anyone, once the email address is verified and
    an operator approves), or `open` (anyone, once the email address is verified)."""

    smtp_host: str = ""
    """Name of the mail server. Without one, emails wait in the outbox, and `idp doctor` says so."""

    smtp_port: int = Field(default=587, ge=1, le=65535)
    """TCP port of the mail server."""

    smtp_security: str = "starttls"
    """How the connection to the mail server is protected: `starttls`, `tls` (from the first byte), or `none`, which is
    for a mail server on this machine."""

    smtp_user: str = ""
    """User name for the mail server; empty for none."""

    smtp_password_file: Path | None = None
    """File that holds the password for the mail server."""

    mail_from: str = "Realmgate <realmgate@localhost>"
    """Sender of emails."""

    outbound_private: bool = False
    """Whether applications may be told at addresses of this machine and of private networks that somebody has signed out.
    Otherwise whoever registers an application could have this server call what only this server can reach."""

    outbound_networks: Annotated[tuple[str, ...], NoDecode] = ()
    """Private addresses or networks that key sets of trusted issuers may be fetched from, separated by commas, such as that of
    a cluster. Public ones always may be; this machine and networks that are not named here never. Default: none."""

    access_log: bool = False
    """Whether each request is logged: method, path without secrets, status, milliseconds."""

    slow_query_seconds: float = Field(default=0.5, ge=0, le=3600)
    """Seconds from which on a statement to the database is logged, with its text and the id of the request, but without the
    values in it. 0 turns it off."""

    otlp_endpoint: HookUrl = ""
    """URL that traces are sent to by OpenTelemetry's protocol over HTTP (OTLP), such as `http://127.0.0.1:4318/v1/traces`.
    Empty for none. `OTEL_SERVICE_NAME` names the service."""

    log_level: str = "info"
    """How much the server logs: `debug`, `info`, `warning` or `error`."""

    _written_url: str = PrivateAttr(default="")

    @field_validator("log_level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        if value.lower() not in {"debug", "info", "warning", "error"}:
            raise ValueError("takes debug, info, warning or error")
        return value.lower()

    @field_validator("audit_push_syslog")
    @classmethod
    def _known_syslog(cls, value: str) -> str:
        if value and not re.fullmatch(r"(udp|tcp)://([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?", value):
            raise ValueError("takes udp://host:514 or tcp://host:601")
        return value

    @field_validator("audit_push_webhook")
    @classmethod
    def _known_webhook(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.fragment):
            raise ValueError("takes a URL such as https://audit.example.com/checkpoints, without user name and fragment")
        return value

    @field_validator("valkey_url")
    @classmethod
    def _known_store(cls, value: str) -> str:
        if value and not re.fullmatch(r"(valkey|redis)s?://[^/]+(/\d*)?|unix:///.+", value):
            raise ValueError("takes valkey://host:port/number, valkeys:// for TLS, or unix:///path/of/socket")
        return value

    @field_validator("client_certificate_header")
    @classmethod
    def _known_header(cls, value: str) -> str:
        if value and not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,63}", value):
            raise ValueError("takes the name of a header, such as Client-Cert")
        if value.lower() in {"authorization", "dpop", "cookie", "apikey", "host", "x-forwarded-for", "x-forwarded-proto"}:
            raise ValueError("takes a header of its own, such as Client-Cert")
        return value

    @field_validator("sign_up")
    @classmethod
    def _known_mode(cls, value: str) -> str:
        if value not in {"off", "approval", "open"}:
            raise ValueError("takes off, approval or open")
        return value

    @field_validator("smtp_security")
    @classmethod
    def _known_security(cls, value: str) -> str:
        if value.lower() not in {"starttls", "tls", "none"}:
            raise ValueError("takes starttls, tls or none")
        return value.lower()

    @field_validator("mail_from")
    @classmethod
    def _one_address(cls, value: str) -> str:
        if not value.isprintable() or not re.fullmatch(r"(?:[^<>@]*<)?[^<>@\s]+@[^<>@\s]+>?", value):
            raise ValueError("takes one address, such as Realmgate <realmgate@example.com>")
        return value

    @field_validator("trusted_proxies", "outbound_networks", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> tuple[str, ...]:
        try:
            parts = value.split(",") if isinstance(value, str) else [str(part) for part in value]
            return tuple(str(read_network(part)) for part in parts if part.strip())
        except (ValueError, TypeError):
            raise ValueError("takes addresses or networks separated by commas, such as 10.0.0.5,192.168.0.0/16") from None

    @field_validator("outside_keys")
    @classmethod
    def _known_keys(cls, value: str) -> str:
        read_outside_keys(value)
        return value

    @field_validator("otlp_endpoint")
    @classmethod
    def _collector(cls, value: str) -> str:
        if value and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", value):
            raise ValueError("takes a URL such as http://127.0.0.1:4318/v1/traces")
        return value

    @field_validator("host", "management_host")
    @classmethod
    def _address(cls, value: str) -> str:
        try:
            return str(ipaddress.ip_address(value.removeprefix("[").removesuffix("]")))
        except ValueError:
            raise ValueError("takes an IP address, such as 127.0.0.1, 0.0.0.0 or ::1") from None

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        if value:
            check_url(value)
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _remember(cls, values: Any, validate: ModelWrapValidatorHandler["Fields"]) -> "Fields":
        settings = validate(values)
        if isinstance(values, dict):
            settings._written_url = str(values.get("public_url") or "").rstrip("/")  # noqa: SLF001 (its own)
        return settings

    @model_validator(mode="before")
    @classmethod
    def _derived(cls, values: Any) -> Any:
        """Fill the defaults that depend on other settings."""
        if isinstance(values, dict):
            data_dir = Path(values.get("data_dir") or "var").absolute()
            values["data_dir"] = data_dir
            values.setdefault("master_key_file", data_dir / "master.key")
            values.setdefault("database_url", sqlite_url(data_dir / "realmgate.db"))
            port = str(values.get("port", 8080))
            values.setdefault("public_url", "http://127.0.0.1" + ("" if port == "80" else f":{port}"))
        return values
