"""Settings: defaults, what they take, and the sentence when they do not."""

from pathlib import Path

import pytest

from idp.settings import Settings, SettingsError
from tests.serving import PROJECT


def test_defaults_follow_from_port_and_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_PORT", "9000")
    monkeypatch.setenv("IDP_DATA_DIR", "/tmp/x")
    settings = Settings.load()
    assert settings.host == "127.0.0.1"
    assert settings.public_url == "http://127.0.0.1:9000"
    assert settings.database_url == "sqlite:////tmp/x/realmgate.db"
    assert settings.master_key_file == Path("/tmp/x/master.key")
    assert Settings.load(data_dir="var").data_dir == Path.cwd() / "var"


def test_empty_value_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IDP_PORT", "IDP_PUBLIC_URL", "IDP_DATABASE_URL", "IDP_TRUSTED_PROXIES", "IDP_DATA_DIR"):
        monkeypatch.setenv(name, "")
    settings = Settings.load()
    assert (settings.port, settings.trusted_proxies) == (8080, ())
    assert settings.data_dir == Path.cwd() / "var"


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("IDP_PORT", "http", "whole number"),
        ("IDP_PORT", "0", "greater than or equal to 1"),
        ("IDP_PORT", "65536", "65535"),
        ("IDP_HOST", "localhost", "takes an IP address"),
        ("IDP_PUBLIC_URL", "https://id.example.com:abc", "takes a URL such as"),
        ("IDP_PUBLIC_URL", "https://id example.com", "takes a URL such as"),
        ("IDP_DATABASE_URL", "sqlite:///relative.db", "takes sqlite:"),
        ("IDP_DATABASE_URL", "sqlite:///:memory:", "takes sqlite:"),
        ("IDP_WORKERS", "0", "1"),
        ("IDP_WORKERS", "many", "whole number"),
        ("IDP_THREADS", "1000", "256"),
        ("IDP_PUBLIC_URL", "id.example.com", "takes a URL such as"),
        ("IDP_PUBLIC_URL", "ftp://id.example.com", "takes a URL such as"),
        ("IDP_PUBLIC_URL", "https://user@id.example.com", "takes a URL such as"),
        ("IDP_PUBLIC_URL", "https://id.example.com/?x=1", "takes a URL such as"),
        ("IDP_PUBLIC_URL", "https://id.example.com/#", "takes a URL such as"),
        ("IDP_PUBLIC_URL", "https:id.example.com", "takes a URL such as"),
        ("IDP_PUBLIC_URL", "https://id.example.com/%41", "takes a URL whose path has letters"),
        ("IDP_PUBLIC_URL", "https://id.example.com/a//b", "takes a URL whose path has letters"),
        ("IDP_PUBLIC_URL", "https://id.example.com/a;b", "takes a URL whose path has letters"),
        ("IDP_DATABASE_URL", "mysql://x/y", "takes sqlite:"),
        ("IDP_DATABASE_CONNECTIONS", "4", "5"),
        ("IDP_TRUSTED_PROXIES", "proxy.example", "takes addresses or networks"),
        ("IDP_TRUSTED_PROXIES", "10.0.0.1/8", "takes addresses or networks"),
        ("IDP_KEY_SET_MAX_AGE", "0", "1"),
        ("IDP_LOG_LEVEL", "chatty", "takes debug, info, warning or error"),
    ],
)
def test_wrong_value_is_one_sentence_with_the_name_and_what_it_takes(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, hint: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    sentence = str(caught.value)
    assert sentence.startswith(name)
    assert value in sentence or name == "IDP_DATABASE_URL" or "@" in value
    assert hint in sentence
    assert sentence.count("\n") == 0


def test_public_url_loses_its_slash_and_makes_the_issuer() -> None:
    assert Settings.load(public_url="https://id.example.com/").issuer("acme") == "https://id.example.com/auth/realms/acme"


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("https://id.example.com:443", "https://id.example.com"),
        ("http://id.example.com:80/", "http://id.example.com"),
        ("https://id.example.com:80", "https://id.example.com:80"),
        ("HTTPS://ID.Example.COM:0443/IdP/", "https://id.example.com/IdP"),
        ("https://b\u00fccher.example/idp", "https://xn--bcher-kva.example/idp"),
        ("https://[2001:DB8:0::1]:8443", "https://[2001:db8::1]:8443"),
        ("https://id.example.com/a/../idp", "https://id.example.com/idp"),
    ],
)
def test_public_url_has_one_form_and_a_change_of_it_is_known(written: str, canonical: str) -> None:
    settings = Settings.load(public_url=written)
    assert settings.public_url == canonical
    assert settings.changed_url == written.rstrip("/") or written.rstrip("/") == canonical
    again = Settings.load(public_url=canonical)
    assert (again.public_url, again.changed_url) == (canonical, "")


def test_default_port_is_left_out_of_the_default_too() -> None:
    assert (Settings.load(port=80).public_url, Settings.load(port=80).changed_url) == ("http://127.0.0.1", "")


def test_networks_are_read_from_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_TRUSTED_PROXIES", "10.0.0.5, 192.168.0.0/16,::1")
    assert Settings.load().trusted_proxies == ("10.0.0.5/32", "192.168.0.0/16", "::1/128")


def test_reference_page_is_what_the_code_says() -> None:
    from idp.cli.settings import reference_page

    assert (PROJECT / "docs" / "settings.md").read_text() == reference_page(), "run `make docs`"


def test_every_setting_is_explained() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
