"""How often one address may call an edge: for each resource by itself, so that a program that floods one keeps its others.

The resource is the first part of the path after the version that is not an id, which whoever calls could choose; all that is not
there is one. Tokens and exchanged keys have limits of their own.
"""

from flask import Flask, Response, g, request

from idp import ratelimit, runtime
from idp.ratelimit import BURST, Rate, RateExceededError, Standing, Use
from idp.web.address import client_address
from idp.web.edges import prefix_limited_by_resource

RESETS = frozenset(
    {"/v1/auth/user/password/reset", "/v1/auth/user/org/forgot", "/v1/auth/signup", "/auth/v1/signup/organization"}
)
"""What sends mail to whoever is named."""

UNLIMITED = frozenset({"/v1/auth/exchange"})
"""What has a limit for each key, and is called by all programs behind an address."""


def register_limits(app: Flask) -> None:
    """Have the calls of edges that are limited by resource counted, and every answer say how it stands."""

    @app.before_request
    def count() -> None:
        path = request.path.rstrip("/")
        prefix = prefix_limited_by_resource(app, f"{path}/")
        if prefix is None or path in UNLIMITED:
            return
        process = runtime.current()
        settings = process.settings
        rule = request.url_rule.rule if request.url_rule is not None else ""
        resource = next((part for part in rule[len(prefix) :].split("/") if part and "<" not in part), "")
        if path in RESETS:
            name, per_second, resource = "password-reset", settings.rate_password_reset, "mail"
        else:
            name, per_second = "api", settings.rate_api
        address = ratelimit.network_of(client_address(request.environ, settings.trusted_proxies))
        rate = Rate(name, per_second, BURST * per_second)
        try:
            g.standing = ratelimit.limiter(process).use(Use(rate, f"{address} {prefix}{resource}"[:200]))
        except RateExceededError as error:
            g.standing = Standing(rate, 0, error.retry_after)
            raise

    @app.after_request
    def tell(response: Response) -> Response:
        standing: Standing | None = g.get("standing")
        if standing is not None and (response.status_code != 429 or standing.remaining == 0):
            add_headers(response, standing)
        return response


def add_headers(response: Response, standing: Standing) -> None:
    """Say how it stands with a rate (draft-ietf-httpapi-ratelimit-headers §3), and as the clients of some contracts read it."""
    rate = standing.rate
    response.headers.update(ratelimit.rate_headers(rate, standing.remaining, standing.reset))
    response.headers["X-RateLimit-Limit"] = f"{rate.per_second:g}"
    response.headers["X-RateLimit-Burst"] = str(rate.burst)
    response.headers["X-RateLimit-Remaining"] = str(standing.remaining)
