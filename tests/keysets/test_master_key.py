"""Replacing the master key: everything is sealed anew while servers go on, and whatever interrupts it, nothing is lost."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import String, Text, text

from idp import keysets, mail, master_keys, runtime, vault
from idp.app import close_app, create_app
from idp.db import Base, SealedText, commit, db
from idp.errors import ConflictError
from idp.master_keys import MasterKeys, ring
from idp.settings import Settings
from idp.vault import sealed
from tests.factories import Factory, ask_token, session_of
from tests.keysets.lending import AWS_VALUES, administrator, borrower, keep, take, token_of


@pytest.fixture
def neighbour(app: Flask, settings: Settings) -> Iterator[Flask]:
    """Another process on the same database and master key file."""
    found = create_app(settings)
    yield found
    close_app(found)


@pytest.fixture
def filled(client: FlaskClient, make: Factory) -> dict[str, str]:
    """Have something be sealed in every kind of row that a test can make quickly."""
    root = administrator(make, client)
    for number in range(7):
        header = root | ({"Idempotency-Key": "kept"} if number == 0 else {})
        keep(client, header, name=f"set {number}", projects=["vision"])
    make.do(lambda _: mail.enqueue("acme", "test", "password-reset", "ann@example.test", useful_until=None, name="Ann"))
    return root


def rotate(app: Flask) -> tuple[str, str]:
    """Replace the master key in a process; return the ids of the old and the new one."""
    with app.app_context():
        old = runtime.current().master_keys.current
        new = vault.add_master_key()
        vault.promote_master_key(new)
        state = list(vault.rewrap())[-1]
        assert (state.done, state.damaged) == (state.total, [])
        return old, new


def test_every_sealed_column_is_known() -> None:
    names = {
        f"{table.name}.{column.name}"
        for table in Base.metadata.tables.values()
        for column in table.columns
        if column.name.startswith("sealed") and isinstance(column.type, String | Text | SealedText) and column.name != "sealed_at"
    }
    known = {f"{each.column.class_.__tablename__}.{each.column.key}" for each in vault.sealed_columns()}
    assert known == names


def test_everything_is_sealed_anew_and_opens_everywhere(
    client: FlaskClient, make: Factory, filled: dict[str, str], neighbour: Flask, settings: Settings
) -> None:
    deployer = borrower(make)
    bot = token_of(client, deployer)
    assert take(client, bot, "set 1").status_code == 201
    other = neighbour.test_client()
    assert take(other, bot, "set 2").status_code == 201
    old, new = rotate(make.app)
    with make.app.app_context():
        assert [(each.id, each.is_current, each.values > 0) for each in vault.list_master_keys()] == [
            (new, True, True),
            (old, False, False),
        ]
    for each in (client, other):  # with what they have in memory, and what they have not
        assert take(each, bot, "set 2").json["values"] == AWS_VALUES
        assert take(each, bot, "set 5").json["values"] == AWS_VALUES
    keep(other, filled, name="made by a neighbour")
    with make.app.app_context():
        assert vault.count_under(old) == 0
        vault.retire_master_key(old, settle=0)
        vault.open_all_peppers()
    fresh = create_app(settings)
    assert master_keys.load_master_keys(settings.master_key_file).by_id.keys() == {new}
    assert ask_token(fresh.test_client(), deployer).status_code == 200
    assert take(fresh.test_client(), bot, "set 6").json["values"] == AWS_VALUES
    assert take(other, bot, "set 2").json["values"] == AWS_VALUES
    close_app(fresh)


@pytest.mark.parametrize("batches", range(6))
def test_what_is_interrupted_goes_on_where_it_was(
    client: FlaskClient, make: Factory, filled: dict[str, str], monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    monkeypatch.setattr(sealed, "BATCH", 2)
    bot = token_of(client, borrower(make))
    with make.app.app_context():
        old = runtime.current().master_keys.current
        vault.promote_master_key(vault.add_master_key())
        total = vault.count_under(old)
        states = vault.rewrap()
        for _ in range(batches):
            next(states)
        states.close()
        left = vault.count_under(old)
        assert left == total if batches < 2 else left < total
        with pytest.raises(ConflictError, match="still encrypted"):
            vault.retire_master_key(old, settle=0)
    for number in range(7):
        assert take(client, bot, f"set {number}").json["values"] == AWS_VALUES
    with make.app.app_context():
        assert list(vault.rewrap())[-1].done == left
        assert vault.count_under(old) == 0


def test_what_changes_meanwhile_is_left_as_it_was_changed(
    client: FlaskClient, make: Factory, filled: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = [{"type": "pub", "value": "changed"}, {"type": "pvt", "value": "meanwhile"}]
    true_seal = MasterKeys.seal
    done: list[int] = []

    def seal(self: MasterKeys, plain: bytes, *, context: str) -> str:
        if context.startswith("data key") and not done:
            done.append(1)  # between the reading of the batch and its writing
            answer = client.post("/v1/keysets/set 3/versions", json={"spec": {"keys": changed}}, headers=filled)
            assert answer.status_code == 201, answer.text
        return true_seal(self, plain, context=context)

    monkeypatch.setattr(MasterKeys, "seal", seal)
    old, _ = rotate(make.app)
    assert done
    bot = token_of(client, borrower(make))
    assert take(client, bot, "set 3").json["values"] == {"pub": "changed", "pvt": "meanwhile"}
    with make.app.app_context():
        assert vault.count_under(old) == 0


def test_damage_is_named_and_stops_nothing_else(client: FlaskClient, make: Factory, filled: dict[str, str]) -> None:
    with make.app.app_context():
        db.session.execute(
            text(
                "UPDATE keyset SET sealed_data_key = substr(sealed_data_key, 1, 40) || 'xx' || substr(sealed_data_key, 43) WHERE id = 2"
            )
        )
        commit()
        old = runtime.current().master_keys.current
        vault.promote_master_key(vault.add_master_key())
        state = list(vault.rewrap())[-1]
        assert len(state.damaged) == 1
        assert state.damaged[0].startswith("data key of keyset ")
        assert vault.count_under(old) == 1
        with pytest.raises(ConflictError, match="1 values are still encrypted"):
            vault.retire_master_key(old, settle=0)
        assert [row.name for _, row, damaged in keysets.check_keysets() if damaged] == ["set 1"]
        db.session.rollback()
    client.delete("/v1/keysets/set 1", headers=filled)
    with make.app.app_context():
        vault.retire_master_key(old, settle=0)


def test_a_file_that_cannot_be_used_leaves_servers_with_the_keys_they_have(
    client: FlaskClient, make: Factory, filled: dict[str, str], settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    path = settings.master_key_file
    whole = path.read_text()
    path.write_text("nonsense")
    keep(client, filled, name="all the same")
    assert "cannot be used" in caplog.text
    path.unlink()
    assert session_of(client, "root@example.test")
    path.touch(mode=0o600)
    path.write_text(whole)
    with make.app.app_context():
        assert [row.name for _, row, damaged in keysets.check_keysets() if damaged] == []


def test_a_file_whose_mode_is_put_right_is_noticed(
    client: FlaskClient, make: Factory, filled: dict[str, str], neighbour: Flask, settings: Settings
) -> None:
    path = settings.master_key_file
    with make.app.app_context():
        vault.add_master_key()
        vault.promote_master_key(list(runtime.current().master_keys.by_id)[1])
        path.chmod(0o644)
        keep(neighbour.test_client(), filled, name="under the old one")
        path.chmod(0o600)
        keep(neighbour.test_client(), filled, name="under the new one")
        old, new = sorted(vault.list_master_keys(), key=lambda each: each.is_current)
        assert (new.values, old.values > 0) == (1, True)


def test_the_file_is_replaced_whole_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    master_keys.create_master_key(path)
    keys = master_keys.load_master_keys(path)
    key_id, key = master_keys.make_master_key()
    master_keys.write_key_file(path, {key_id: master_keys.make_line(key_id, key)} | keys.lines)
    assert path.stat().st_mode & 0o777 == 0o600
    written = master_keys.load_master_keys(path)
    assert (written.current, list(written.by_id)) == (key_id, [key_id, keys.current])
    assert [each.name for each in tmp_path.iterdir()] == ["master.key"]


def test_it_costs_servers_nothing_while_the_file_stays(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = master_keys.load_master_keys(settings.master_key_file)

    def never(_: Any) -> Any:
        raise AssertionError("the file was read again")

    monkeypatch.setattr(ring, "read_key_file", never)
    assert keys.open(keys.seal(b"x", context="c"), context="c") == b"x"
