"""Settings: defaults, what they take, and the sentence when they do not."""

import json
import os
import stat
from pathlib import Path

import pytest

from idp.settings import Settings, SettingsError, remember
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
        ("IDP_KEY_SET_MAX_AGE", "2", "3"),
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
    from idp.cli.settings_page import reference_page

    assert (PROJECT / "docs" / "settings.md").read_text() == reference_page(), "run `make docs`"


def test_every_setting_is_explained() -> None:
    for name in Settings.model_fields:
        assert Settings.description_of(name), name


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder below others, in which a program looks for its settings as it does elsewhere."""
    monkeypatch.delenv("IDP_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    here = tmp_path / "project" / "deep" / "er"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    return here


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_file_is_found_here_above_and_in_the_usual_place(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each place wins over those further down this list; the first file alone is read."""
    write(tmp_path / "xdg" / "realmgate" / "realmgate.toml", "port = 1001\nworkers = 2\n")
    assert (Settings.load().port, Settings.load().workers) == (1001, 2)
    assert Settings.load().data_dir == folder / "var", "a file elsewhere says nothing of folders"
    above = write(tmp_path / "project" / "realmgate.toml", "port = 1002\n")
    settings = Settings.load()
    assert (settings.port, settings.workers, settings.file) == (1002, 1, above)
    assert (settings.data_dir, settings.realms_dir) == (above.parent / "var", above.parent / "realms")
    write(folder / "realmgate.toml", "port = 1003\n")
    assert Settings.load().port == 1003
    monkeypatch.setenv("IDP_CONFIG", str(write(tmp_path / "other.toml", "port = 1004\n")))
    assert Settings.load().port == 1004
    assert Settings.load(file=str(write(tmp_path / "named.toml", "port = 1005\n"))).port == 1005
    monkeypatch.setenv("IDP_CONFIG", "/dev/null")
    assert (Settings.load().port, Settings.load().file) == (8080, None)


def test_options_win_over_the_environment_and_that_over_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(folder / "realmgate.toml", "port = 1001\nworkers = 2\nthreads = 3\nsmtp_host = ''\n")
    monkeypatch.setenv("IDP_PORT", "1002")
    monkeypatch.setenv("IDP_WORKERS", "4")
    monkeypatch.setenv("IDP_THREADS", "")
    monkeypatch.setenv("IDP_MANAGEMENT_PORT", "tcp://10.0.0.1:80")
    settings = Settings.load(port="1003")
    assert (settings.port, settings.workers, settings.threads, settings.management_port) == (1003, 4, 3, -1)
    said = {name: str(settings.origin(name)) for name in ("port", "workers", "threads", "smtp_host", "management_port")}
    assert said == {
        "port": "option",
        "workers": "environment IDP_WORKERS",
        "threads": f"file {file}:3",
        "smtp_host": "default",
        "management_port": "default",
    }


def test_paths_of_the_file_are_relative_to_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = folder.parent
    text = 'data_dir = "data"\nrealms_dir = "/srv/realms"\naudit_push_file = "a/../b"\ntrusted_proxies = ["10.0.0.5", "::1"]\n'
    write(place / "realmgate.toml", text)
    settings = Settings.load()
    assert (settings.data_dir, settings.realms_dir) == (place / "data", Path("/srv/realms"))
    assert settings.audit_push_file == place / "a/../b"
    assert settings.master_key_file == place / "data" / "master.key"
    assert settings.trusted_proxies == ("10.0.0.5/32", "::1/128")
    monkeypatch.setenv("IDP_DATA_DIR", "mine")
    assert Settings.load().data_dir == folder / "mine", "what the environment says is relative to the current folder"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\nprot = 1\n", ":2: prot is not a setting. Did you mean port? `idp settings` lists all settings."),
        ("IDP_PORT = 1\n", ":1: IDP_PORT is not a setting. Did you mean port?"),
        ("public-url = 1\n", ":1: public-url is not a setting. Did you mean public_url?"),
        ("[server]\nport = 1\n", ":1: server is not a setting."),
        ("qqqqqq = 1\n", ":1: qqqqqq is not a setting. `idp settings` lists"),
        ("# first\nport = 'http'\n", ":2: port = 'http' cannot be used: it takes a whole number."),
        ("port = true\n", ":1: port = 'true' cannot be used: it takes a whole number."),
        ("smtp_host = 5\n", ":1: smtp_host = 5 cannot be used:"),
        ("trusted_proxies = [1.5]\n", ":1: trusted_proxies = [1.5] cannot be used: takes addresses or networks"),
        ("database_url = 'mysql://u:S3cretS3cret@h/x'\n", ":1: database_url cannot be used: takes sqlite:"),
        ("port = \n", ":1: is not TOML"),
        ("port = 1\nport = 2\n", ":2: is not TOML"),
    ],
)
def test_slip_in_the_file_is_one_sentence_with_file_and_line(folder: Path, text: str, said: str) -> None:
    path = write(folder / "realmgate.toml", text)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert str(caught.value).startswith(f"{path}{said}")
    assert "S3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_file_may_come_from_windows(folder: Path) -> None:
    (folder / "realmgate.toml").write_bytes(b"\xef\xbb\xbfport = 1001\r\nworkers = 2\r\n")
    assert (Settings.load().port, Settings.load().workers) == (1001, 2)
    (folder / "realmgate.toml").write_bytes(b"port = 1001\n# \xff\n")
    with pytest.raises(SettingsError, match=r"realmgate\.toml:2 is not UTF-8"):
        Settings.load()


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_file_that_others_can_write_is_refused_whoever_names_it(folder: Path, mode: int) -> None:
    """They could make the server use a database and keys of theirs."""
    path = write(folder / "realmgate.toml", "port = 1001\n", mode)
    for named in ("", str(path)):
        with pytest.raises(SettingsError, match=f"can be changed by others .*Run: chmod go-w {path}"):
            Settings.load(file=named)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file that is another user's")
def test_file_of_another_user_is_refused_unless_it_is_named(folder: Path, tmp_path: Path) -> None:
    path = write(folder.parent / "realmgate.toml", "port = 1001\n", 0o644)
    os.chown(path, 12_345, 12_345)
    with pytest.raises(SettingsError, match=r"belongs to another user \(uid 12345\)"):
        Settings.load()
    assert Settings.load(file=str(path)).port == 1001
    path.unlink()
    own = write(tmp_path / "own.toml", "port = 1002\n")
    path.symlink_to(own)
    assert Settings.load().port == 1002
    os.chown(path, 12_345, 12_345, follow_symlinks=False)
    with pytest.raises(SettingsError, match="belongs to another user"):
        Settings.load()


def test_file_that_is_named_has_to_be_there(folder: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml cannot be read"):
        Settings.load(file="nowhere.toml")


SERVED = {"public_url": "https://id.example.com", "host": "0.0.0.0", "port": 9001}


def test_data_folder_remembers_how_it_was_served_and_overrides_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = folder / "var"
    data.mkdir()
    remember(data, SERVED)
    settings = Settings.load()
    assert (settings.public_url, settings.host, settings.port) == ("https://id.example.com", "0.0.0.0", 9001)
    assert str(settings.origin("public_url")) == f"data folder {data / 'last-served.json'}"
    assert Settings.load(remembered=False).public_url == "http://127.0.0.1:8080"
    monkeypatch.setenv("IDP_PORT", "9002")
    assert Settings.load().public_url == "http://127.0.0.1:9002", "it was another server that had that URL"
    monkeypatch.setenv("IDP_PORT", "9001")
    assert Settings.load().public_url == "https://id.example.com"
    monkeypatch.setenv("IDP_PUBLIC_URL", "https://other.example.com")
    assert Settings.load().public_url == "https://other.example.com"
    assert stat.S_IMODE((data / "last-served.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", '{"port": 1}', json.dumps(SERVED | {"port": "x"}), json.dumps(SERVED | {"public_url": "javascript:1"})],
)
def test_memory_that_is_broken_stops_nothing(folder: Path, content: str) -> None:
    write(folder / "var" / "last-served.json", content)
    assert Settings.load().public_url == "http://127.0.0.1:8080"


def test_memory_that_others_can_write_is_not_believed(folder: Path) -> None:
    """`idp token` sends a secret to the public URL."""
    write(folder / "var" / "last-served.json", json.dumps(SERVED), 0o666)
    assert Settings.load().public_url == "http://127.0.0.1:8080"
