"""Text files that people write are read alike wherever they are read: UTF-8, with or without a byte order mark, LF or CR LF."""

import io
import json
import sys
from pathlib import Path

import pytest

from idp import crypto, manifest, master_keys
from idp.text_files import TextFileError, TextLines, decode, read_line, read_named, read_text
from tests.factories import key_pair
from tests.serving import Server

MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize("data", [b"a\nb\n", MARK + b"a\nb\n", b"a\r\nb\r\n", MARK + b"a\r\nb\r\n"])
def test_mark_and_line_ends_are_no_part_of_the_text(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    assert read_text(tmp_path / "file") == "a\nb\n"
    assert list(TextLines(str(tmp_path / "file"))) == ["a\n", "b\n"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a\nb\nS3cret\xff\n", ":3 is not UTF-8: save it as UTF-8."),
        ("a".encode("utf-16"), ":1 is UTF-16: save it as UTF-8."),
        (b"\xfe\xff\x00a", ":1 is UTF-16: save it as UTF-8."),
    ],
)
def test_what_is_no_utf8_is_called_that_with_its_line_and_nothing_of_it(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    for read in (lambda: read_text(path), lambda: list(TextLines(str(path)))):
        with pytest.raises(TextFileError) as caught:
            read()
        assert str(caught.value) == f"{path}{said}"


@pytest.mark.parametrize("name", ["nowhere", ".", "a\0b"])
def test_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(TextFileError, match="cannot be read"):
        read_text(tmp_path / name)


def test_standard_input_is_read_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def given(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), "ascii"))

    given(MARK + "pässword\r\nmore".encode())
    assert read_line() == "pässword"
    given(MARK + "ä\r\n".encode())
    assert read_named("-") == "ä\n"
    given(MARK + b"a\r\nb")
    assert list(TextLines("-")) == ["a\n", "b"]
    given(b"\xff\n")
    with pytest.raises(TextFileError, match="standard input:1 is not UTF-8"):
        read_line()


def test_later_mark_is_text() -> None:
    assert decode(MARK + MARK, "x") == "\ufeff"


def windows(path: Path, text: str) -> Path:
    """Write a file as an editor on Windows may."""
    path.write_bytes(MARK + text.replace("\n", "\r\n").encode())
    return path


def test_realm_file_and_the_secret_it_names_may_come_from_windows(tmp_path: Path) -> None:
    windows(tmp_path / "secret", "a-secret-of-32-characters-or-more\n")
    file = windows(
        tmp_path / "realm.toml",
        '[realm]\nname = "x"\ndisplay_name = "Käthe"\n[applications.a]\nsecrets.main.file = "secret"\n',
    )
    read = manifest.read_file(file)
    assert (read.realm.display_name, read.secret_value("a", "main")) == ("Käthe", "a-secret-of-32-characters-or-more")
    windows(file, '[realm]\nname = "x"\n\ncolour = 1\n')
    with pytest.raises(manifest.RealmFileError, match=r"realm\.toml:4: realm\.colour"):
        manifest.read_file(file)
    file.write_bytes(b'[realm]\nname = "x"\ndisplay_name = "\xff"\n')
    with pytest.raises(manifest.RealmFileError, match=r"realm\.toml:3: is not UTF-8"):
        manifest.read_file(file)


def test_master_key_file_may_come_from_windows(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    master_keys.create_master_key(path)
    keys = master_keys.load_master_keys(path).by_id
    windows(path, path.read_text())
    assert master_keys.load_master_keys(path).by_id == keys
    path.write_bytes(b"\xff")
    with pytest.raises(crypto.MasterKeyError, match=r"master\.key is not UTF-8: save it as UTF-8\. Set IDP_MASTER_KEY_FILE"):
        master_keys.load_master_keys(path)


def test_commands_read_files_alike_whatever_the_locale(own_server: Server, tmp_path: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8"}
    own_server.idp("setup")
    file = windows(tmp_path / "realm.toml", '[realm]\nname = "kaethe"\ndisplay_name = "Käthe"\n')
    own_server.idp("realms", "apply", str(file), **ascii_only)
    own_server.idp("realms", "export", "kaethe", "-o", str(tmp_path / "out.toml"), **ascii_only)
    assert 'display_name = "Käthe"' in (tmp_path / "out.toml").read_text(encoding="utf-8")
    keys = windows(tmp_path / "keys.json", json.dumps(key_pair()[1]))
    own_server.idp("applications", "create", "--realm", "kaethe", "bot", "--jwks", str(keys), **ascii_only)
    value = windows(tmp_path / "value", "a value\n")
    own_server.idp(
        "keysets", "create", "--realm", "kaethe", "provider", "aws", "x", "--key", f"pub={value}", "--key", f"pvt={value}"
    )
    own_server.idp("audit", "export", "--realm", "kaethe", "--output", str(tmp_path / "trail"), **ascii_only)
    trail = windows(tmp_path / "trail.jsonl", (tmp_path / "trail").read_text(encoding="utf-8"))
    said = own_server.idp("audit", "verify", "--export", str(trail), status=1, both=True, **ascii_only)
    assert "Nothing in it is sealed yet" in said, "it was read, and no server has sealed it"
    trail.write_bytes(b"{}\n\xff")
    assert "is no" in own_server.idp("audit", "verify", "--export", str(trail), status=1)
    said = own_server.idp("audit", "verify", "--checkpoints", str(trail), status=1)
    assert "trail.jsonl:2 is not UTF-8" in said
