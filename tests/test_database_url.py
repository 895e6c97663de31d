"""`IDP_DATABASE_URL`: what libpq is told, which file it is, what is refused, and how it is shown."""

import sqlite3
from pathlib import Path

import pytest

from idp import database_url
from idp.settings import Settings, SettingsError
from tests.serving import Server


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://ann@db.example/x", {"user": "ann", "host": "db.example", "dbname": "x"}),
        (
            "postgresql+psycopg://ann:p%40%25w@[2001:db8::1]:6432/x",
            {"user": "ann", "password": "p@%w", "host": "2001:db8::1", "port": "6432", "dbname": "x"},
        ),
        (
            "postgresql://a:5432,[::1]:5433/x?target_session_attrs=read-write",
            {"host": "a,::1", "port": "5432,5433", "dbname": "x", "target_session_attrs": "read-write"},
        ),
        ("postgresql:///x?host=/run/postgresql", {"host": "/run/postgresql", "dbname": "x"}),
        ("postgresql://%2Frun%2Fpostgresql/x", {"host": "/run/postgresql", "dbname": "x"}),
        (
            "postgresql://h/x?sslmode=verify-full&sslrootcert=/etc/ca.pem&passfile=/run/pass",
            {"host": "h", "dbname": "x", "sslmode": "verify-full", "sslrootcert": "/etc/ca.pem", "passfile": "/run/pass"},
        ),
        ("postgresql://?service=realmgate", {"service": "realmgate"}),
        ("postgresql://h/x?host=@abstract/name", {"host": "@abstract/name", "dbname": "x"}),
        ("postgresql://", {}),
        ("postgresql://u:p%2Fq%3Fr%23s@h/x", {"user": "u", "password": "p/q?r#s", "host": "h", "dbname": "x"}),
        ("postgresql://u:p?q@h/x", {"user": "u", "password": "p?q", "host": "h", "dbname": "x"}),
    ],
)
def test_libpq_is_told_what_the_url_says(url: str, expected: dict[str, str]) -> None:
    settings = Settings.load(database_url=url)
    assert database_url.libpq_parameters(settings.database_url) == expected
    assert not settings.is_sqlite
    assert settings.sqlite_path is None


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("postgresql://u:S3cretPw@h:port/x", "%40"),
        ("postgresql://u:S3cretPw@h:70000/x", "one port"),
        ("postgresql://u:S3cretPw@a:1,b:2,c/x?port=1,2", "one port"),
        ("postgresql://u:S3@cretPw@h/x", "%40"),
        ("postgresql://u:12/S3cretPw@h/x", "%2F"),
        ("postgresql://u:S3cretPw@h/x?host=a&host=b", "once"),
        ("postgresql://u:S3cretPw@h/x?nonsense=1", "takes sqlite"),
        ("postgresql://u:S3cretPw@[::1/x", "takes sqlite"),
        ("postgresql://u:S3cretPw%00@h/x", "takes sqlite"),
        ("postgresql://u:S3cretPw%FF@h/x", "takes sqlite"),
        ("postgresql://u:S3cretPw%0A@h/x", "printable"),
        ("postgresql+asyncpg://u:S3cretPw@h/x", "takes sqlite"),
        ("sqlite:////data/what?mode=ro", "%3F"),
        ("sqlite:////data/100%/x.db", "%25"),
        ("sqlite:///", "takes sqlite"),
        ("sqlite:////", "takes sqlite"),
        ("sqlite:////data/a%0Ab.db", "takes sqlite"),
    ],
)
def test_unusable_url_is_refused_with_what_it_takes_and_without_the_password(url: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.load(database_url=url)
    assert str(caught.value).startswith("IDP_DATABASE_URL cannot be used: takes ")
    assert hint in str(caught.value)
    assert "S3" not in str(caught.value)
    assert "cretPw" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://ann:S3cretPw@h/x", "postgres://***@h/x"),
        ("postgresql://ann:S3cretPw@h:1,[::1]:2/x?sslmode=require", "postgresql://***@h:1,[::1]:2/x?***"),
        ("postgresql://h/x?user=ann&password=S3cretPw&sslpassword=S3cretPw", "postgresql://h/x?***"),
        ("sqlite:////data/a%20b.db", "sqlite:////data/a%20b.db"),
    ],
)
def test_password_is_not_shown(url: str, shown: str) -> None:
    assert Settings.load(database_url=url).show("database_url") == shown


@pytest.mark.parametrize("name", ["a b", "a%20b", "100%", "what?", "#1", "ünï", "a+b&c=d"])
def test_database_lies_in_the_data_folder_whatever_that_is_called(tmp_path: Path, name: str) -> None:
    server = Server(tmp_path / name)
    server.idp("setup")
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    assert (tmp_path / name / "realmgate.db").stat().st_size > 0
    assert "acme" in server.idp("realms", "list")


@pytest.mark.parametrize(("written", "name"), [("a%20b.db", "a b.db"), ("a b#1.db", "a b#1.db"), ("a%2520b%3F.db", "a%20b?.db")])
def test_file_of_a_url_is_the_one_that_it_names(tmp_path: Path, written: str, name: str) -> None:
    server = Server(tmp_path / "data", settings={"IDP_DATABASE_URL": f"sqlite:///{tmp_path}/{written}"})
    server.start()
    try:
        assert server.token(server.create_application("bot")).status == 200
    finally:
        server.stop()
    with sqlite3.connect(tmp_path / name) as connection:
        assert connection.execute("SELECT count(*) FROM application WHERE name = 'bot'").fetchone() == (1,)
    connection.close()
    assert not (tmp_path / "data" / "realmgate.db").exists()


def test_start_says_what_is_the_matter_with_the_file(tmp_path: Path) -> None:
    folder, text = tmp_path / "folder.db", tmp_path / "text.db"
    folder.mkdir()
    text.write_text("this is no database " * 100)
    (tmp_path / "no-folder").write_text("")
    causes = {folder: "cannot be opened", text: "is not a database", tmp_path / "no-folder" / "x.db": "cannot be opened"}
    for path, cause in causes.items():
        server = Server(tmp_path / "data", settings={"IDP_DATABASE_URL": f"sqlite:///{path}"})
        Server(tmp_path / "data").idp("setup")  # so that there is a master key
        for command in ("setup", "serve"):
            said = server.idp(command, status=1)
            assert f"The database cannot be used: its file {cause}" in said, said
            assert said.count("\n") == 1
    said = Server(tmp_path / "data", settings={"IDP_DATABASE_URL": f"sqlite:///{text}"}).run("doctor").stdout
    assert "The database cannot be used: its file is not a database" in said
