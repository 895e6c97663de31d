"""Tokens that are bound to the certificate of a TLS connection, behind a proxy that hands it over (RFC 8705, RFC 9440)."""

import base64
import datetime as dt
import hashlib
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient
from joserfc.jwk import ECKey
from werkzeug.test import TestResponse

from idp.app import close_app, create_app
from idp.settings import Settings, SettingsError
from tests.bound.proving import TOKEN_URL, Prover, b64
from tests.factories import Factory, Made, ask, claims_of, key_pair, set_application

ISSUER = "http://localhost:8080/auth/realms/acme"
USERINFO = "/auth/realms/acme/protocol/openid-connect/userinfo"
PROXY, STRANGER = "10.0.0.5", "192.0.2.7"


def make_certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a client")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(now).not_valid_after(now + dt.timedelta(days=1))
    return builder.sign(key, hashes.SHA256())


KEY = ec.generate_private_key(ec.SECP256R1())
CERTIFICATE = make_certificate(KEY)
DER, PEM = CERTIFICATE.public_bytes(Encoding.DER), CERTIFICATE.public_bytes(Encoding.PEM).decode()
OTHER = make_certificate(ec.generate_private_key(ec.SECP256R1())).public_bytes(Encoding.DER)
THUMBPRINT = b64(hashlib.sha256(DER).digest())


def plain(der: bytes) -> str:
    return base64.b64encode(der).decode()


FORMS = {
    "RFC 9440": f":{plain(DER)}:",
    "nginx, escaped": quote(PEM),
    "nginx, spaces for lines": PEM.strip().replace("\n", " "),
    "HAProxy and Caddy": plain(DER),
    "Traefik, escaped": quote(plain(DER), safe=""),
    "Envoy": f'By=spiffe://a/b;Hash=00;Cert="{quote(PEM, safe="")}";Subject="CN=a client"',
}


@pytest.fixture
def behind(settings: Settings) -> Iterator[FlaskClient]:
    """A client of a server that believes its proxy."""
    app = create_app(
        settings.model_copy(update={"trusted_proxies": (f"{PROXY}/32",), "client_certificate_header": "Client-Cert"})
    )
    yield app.test_client(use_cookies=False)
    close_app(app)


@pytest.fixture
def bot(behind: FlaskClient) -> Made:
    return Factory(behind.application).application(
        roles=("administrator",), audience=[ISSUER], tls_client_certificate_bound_access_tokens=True
    )


def over(header: str, peer: str = PROXY, **more: str) -> dict[str, Any]:
    return {"headers": more | ({"Client-Cert": header} if header else {}), "environ_overrides": {"REMOTE_ADDR": peer}}


def fetch(client: FlaskClient, made: Made, header: str, peer: str = PROXY, **more: str) -> TestResponse:
    form = {"grant_type": "client_credentials", "scope": "openid", **made.form}
    return ask(client, "token", form, **over(header, peer, **more))


@pytest.mark.spec("T72")
@pytest.mark.parametrize("form", FORMS)
def test_token_is_bound_to_the_certificate(behind: FlaskClient, bot: Made, form: str) -> None:
    answer = fetch(behind, bot, FORMS[form])
    assert (answer.status_code, answer.json["token_type"]) == (200, "Bearer"), answer.text
    assert claims_of(answer.json["access_token"])["cnf"] == {"x5t#S256": THUMBPRINT}


NONE = {
    "nothing": "",
    "a word": "certificate",
    "empty": "::",
    "no certificate": plain(b"no certificate"),
    "two": f"{plain(DER)}, {plain(OTHER)}",
    "two without a space": f"{plain(DER)},{plain(OTHER)}",
    "two of RFC 9440": f":{plain(DER)}:, :{plain(OTHER)}:",
    "two of PEM": quote(PEM + PEM),
    "two of Envoy": f'Cert="{quote(PEM, safe="")}",Cert="{quote(PEM, safe="")}"',
    "two of one element": f'Cert="{quote(PEM, safe="")}";Cert="{quote(PEM, safe="")}"',
    "something behind it": plain(DER + b"more"),
    "without end": plain(b"x" * 20_000),
}


@pytest.mark.spec("T72")
@pytest.mark.parametrize("case", NONE)
def test_what_is_no_certificate_binds_nothing(behind: FlaskClient, bot: Made, case: str) -> None:
    answer = fetch(behind, bot, NONE[case])
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_request"), answer.text


@pytest.mark.spec("T72")
def test_nobody_but_the_proxy_is_believed(behind: FlaskClient, bot: Made) -> None:
    assert fetch(behind, bot, FORMS["RFC 9440"], STRANGER).status_code == 400
    token = fetch(behind, bot, FORMS["RFC 9440"]).json["access_token"]
    shown = {"Authorization": f"Bearer {token}"}
    assert behind.get(USERINFO, **over(FORMS["RFC 9440"], STRANGER, **shown)).status_code == 401


def test_without_the_setting_the_header_is_nothing(client: FlaskClient, make: Factory) -> None:
    made = make.application(tls_client_certificate_bound_access_tokens=True)
    form = {"grant_type": "client_credentials", **made.form}
    assert ask(client, "token", form, headers={"Client-Cert": FORMS["RFC 9440"]}).status_code == 400
    discovery = client.get("/auth/realms/acme/.well-known/openid-configuration").json
    assert "tls_client_certificate_bound_access_tokens" not in discovery
    assert "self_signed_tls_client_auth" not in discovery["token_endpoint_auth_methods_supported"]


@pytest.mark.parametrize("path", [USERINFO, "/v1/applications"])
def test_bound_token_needs_the_connection(behind: FlaskClient, bot: Made, path: str) -> None:
    token = fetch(behind, bot, FORMS["RFC 9440"]).json["access_token"]
    shown = {"Authorization": f"Bearer {token}"}
    assert behind.get(path, **over(FORMS["HAProxy and Caddy"], **shown)).status_code == 200
    for header in ("", plain(OTHER), "garbage"):
        answer = behind.get(path, **over(header, **shown))
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_certificate_is_no_matter_to_a_token_that_is_not_bound(behind: FlaskClient) -> None:
    made = Factory(behind.application).application()
    answer = fetch(behind, made, FORMS["RFC 9440"])
    assert "cnf" not in claims_of(answer.json["access_token"])
    shown = {"Authorization": f"Bearer {answer.json['access_token']}"}
    assert behind.get(USERINFO, **over(plain(OTHER), **shown)).status_code == 200


def test_token_may_be_bound_to_both(behind: FlaskClient, bot: Made, prover: Prover) -> None:
    answer = fetch(behind, bot, FORMS["RFC 9440"], DPoP=prover.proof())
    token = answer.json["access_token"]
    assert claims_of(token)["cnf"] == {"jkt": prover.jkt, "x5t#S256": THUMBPRINT}
    url = f"http://localhost:8080{USERINFO}"
    assert behind.get(USERINFO, **over(plain(OTHER), **prover.headers("GET", url, token=token))).status_code == 401
    assert behind.get(USERINFO, **over(plain(DER), **prover.headers("GET", url, token=token))).status_code == 200


def with_certificate(der: bytes = DER) -> dict[str, Any]:
    """Return a key set whose key comes with its certificate."""
    public = ECKey.import_key(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).as_dict(
        private=False
    )
    return {"keys": [{name: public[name] for name in ("kty", "crv", "x", "y")} | {"x5c": [plain(der)]}]}


def by_certificate(client: FlaskClient, client_id: str, header: str, peer: str = PROXY, **form: str) -> TestResponse:
    return ask(client, "token", {"grant_type": "client_credentials", "client_id": client_id, **form}, **over(header, peer))


def test_application_authenticates_by_its_certificate(behind: FlaskClient) -> None:
    make = Factory(behind.application)
    make.application("tls-bot", secret=False, jwks=with_certificate(), tls_client_certificate_bound_access_tokens=True)
    make.application("other-bot")
    answer = by_certificate(behind, "tls-bot", FORMS["RFC 9440"])
    assert (answer.status_code, claims_of(answer.json["access_token"])["cnf"]) == (200, {"x5t#S256": THUMBPRINT})
    refused: list[Callable[[], TestResponse]] = [
        lambda: by_certificate(behind, "tls-bot", plain(OTHER)),
        lambda: by_certificate(behind, "tls-bot", ""),
        lambda: by_certificate(behind, "tls-bot", FORMS["RFC 9440"], STRANGER),
        lambda: by_certificate(behind, "other-bot", FORMS["RFC 9440"]),
        lambda: by_certificate(behind, "nobody", FORMS["RFC 9440"]),
        lambda: by_certificate(behind, "tls-bot", FORMS["RFC 9440"], client_secret="wrong"),
    ]
    for ask_wrongly in refused:
        wrong = ask_wrongly()
        assert (wrong.status_code, wrong.json["error"]) == (401, "invalid_client")
    discovery = behind.get("/auth/realms/acme/.well-known/openid-configuration").json
    assert "self_signed_tls_client_auth" in discovery["token_endpoint_auth_methods_supported"]
    assert discovery["tls_client_certificate_bound_access_tokens"] is True


def test_token_ends_when_the_key_of_the_certificate_is_taken_away(behind: FlaskClient) -> None:
    make = Factory(behind.application)
    make.application("tls-bot", secret=False, jwks=with_certificate())
    token = by_certificate(behind, "tls-bot", FORMS["RFC 9440"], scope="openid").json["access_token"]
    shown = {"headers": {"Authorization": f"Bearer {token}"}}
    assert behind.get(USERINFO, **shown).status_code == 200
    make.change(lambda realm, row: set_application(realm, row, jwks=key_pair()[1]), "tls-bot")
    assert behind.get(USERINFO, **shown).status_code == 401


def test_certificate_of_another_key_is_not_taken(make: Factory) -> None:
    from idp.errors import InvalidMembersError

    for wrong in (OTHER, b"none"):
        with pytest.raises(InvalidMembersError, match="x5c"):
            make.application("tls-bot", jwks=with_certificate(wrong))


@pytest.mark.parametrize("name", ["X Cert", "Client_Cert", "Authorization", "DPoP", ":", "Client-Cert\n"])
def test_setting_takes_a_header_of_its_own(name: str) -> None:
    with pytest.raises(SettingsError, match="takes"):
        Settings.load(client_certificate_header=name)


def test_url_of_the_proof_is_the_public_one(behind: FlaskClient, bot: Made, prover: Prover) -> None:
    wrong = fetch(behind, bot, FORMS["RFC 9440"], DPoP=prover.proof(url=TOKEN_URL.replace("localhost:8080", "internal")))
    assert wrong.json["error"] == "invalid_dpop_proof"
