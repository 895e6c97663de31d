"""drf-oidc-auth and mozilla-django-oidc, as the page on Django has them, against the served program."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.apis import EXPECTED, Api, Callers, running, statuses
from tests.interop.pages import write_files
from tests.prepare import INTEROP
from tests.serving import free_port, wait_until

ISSUER = "https://id.example.com/auth/realms/acme"
BY_KEY_SET = "by_key_set.AccessToken"
BY_KEY_SET_AND_USERINFO = "by_key_set.LiveAccessToken"
BY_USERINFO = "by_userinfo.Authentication"
BY_USERINFO_AS_THE_LIBRARY_HAS_IT = "oidc_auth.authentication.BearerTokenAuthentication"


@contextlib.contextmanager
def run(callers: Callers, folder: Path, authentication: str) -> Iterator[Api]:
    port = free_port()
    write_files("django", folder, {ISSUER: callers.server.issuer(), "https://api.example.com": callers.audience})
    command = [sys.executable, str(INTEROP / "django_api.py"), str(folder), str(port), authentication]
    with running(command, folder, port) as api:
        yield api


@pytest.mark.parametrize("authentication", [BY_KEY_SET, BY_KEY_SET_AND_USERINFO, BY_USERINFO])
def test_access_tokens_pass_and_nothing_else(callers: Callers, tmp_path: Path, authentication: str) -> None:
    asks_userinfo = authentication != BY_KEY_SET
    revoked = callers.fetch()
    with run(callers, tmp_path, authentication) as api:
        assert statuses(api, callers) == EXPECTED
        assert api.ask("/jobs", callers.without_openid) == (401 if asks_userinfo else 200)
        assert api.ask("/jobs", revoked) == 200
        callers.revoke(revoked)
        api.advance(10)  # for so long, what UserInfo said is kept
        wait_until(lambda: api.ask("/jobs", revoked) == (401 if asks_userinfo else 200), "the end of the token")


@pytest.mark.parametrize("authentication", [BY_KEY_SET, BY_USERINFO])
def test_so_it_is_where_access_tokens_say_jwt(jwt_callers: Callers, tmp_path: Path, authentication: str) -> None:
    with run(jwt_callers, tmp_path, authentication) as api:
        assert statuses(api, jwt_callers) == EXPECTED


def test_userinfo_alone_does_not_tell_what_a_token_is_for(callers: Callers, tmp_path: Path) -> None:
    with run(callers, tmp_path, BY_USERINFO_AS_THE_LIBRARY_HAS_IT) as api:
        assert api.ask("/whoami", callers.viewer) == 200
        assert api.ask("/whoami", callers.viewer_elsewhere) == 200, "take the warning from docs/integrations/django.md"
        refused = {api.ask("/whoami", token) for token in (callers.without_openid, callers.id_token, "x")}
        assert refused == {403}, "the class names no challenge"
