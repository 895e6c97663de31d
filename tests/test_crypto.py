"""Secrets, sealing, the master key file."""

import os
import re
import stat
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp import crypto, master_keys
from idp.crypto import DamagedError, MasterKeyError
from idp.master_keys import MasterKeys


@pytest.mark.spec("R44")
def test_secret_has_prefix_entropy_and_checksum() -> None:
    made = {crypto.make_secret("cs") for _ in range(200)}
    assert len(made) == 200
    for secret in made:
        assert crypto.SECRET_PATTERN.fullmatch(secret)
        assert secret[-6:] == crypto.checksum(secret[:-6])
        assert len(secret) == 64
        assert crypto.public_part(secret) == secret[:15]


def test_checksum_can_be_tested_offline_by_anyone() -> None:
    """The published recipe: CRC-32 of all before the last six characters, in base62 with digits, capitals, small letters."""
    import zlib

    secret = crypto.make_secret("ak")
    number = 0
    for character in secret[-6:]:
        number = number * 62 + crypto.BASE62.index(character)
    assert number == zlib.crc32(secret[:-6].encode())


def test_random_texts_do_not_look_like_secrets() -> None:
    import secrets

    texts = (f"idp_cs_{secrets.token_hex(28)}x" for _ in range(2_000))
    assert sum(crypto.checksum(text[:-6]) == text[-6:] for text in texts) == 0


def test_foreign_secrets_have_no_public_part() -> None:
    assert crypto.public_part("s3cr3t" * 10) == ""


@given(plain=st.binary(max_size=200), context=st.text(max_size=50))
def test_what_was_sealed_opens_in_its_context_only(plain: bytes, context: str) -> None:
    keys = MasterKeys("k1", {"k1": bytes(32)})
    sealed = keys.seal(plain, context=context)
    assert keys.open(sealed, context=context) == plain
    with pytest.raises(DamagedError):
        keys.open(sealed, context=context + "x")


def test_every_flipped_character_of_a_sealed_value_is_noticed() -> None:
    keys = MasterKeys("k1", {"k1": bytes(32)})
    sealed = keys.seal(b"private key", context="x")
    for position in range(len(sealed)):
        for other in "AB":
            if sealed[position] != other:
                with pytest.raises((DamagedError, MasterKeyError)):
                    keys.open(sealed[:position] + other + sealed[position + 1 :], context="x")


def test_older_master_keys_still_open() -> None:
    old = MasterKeys("k1", {"k1": bytes(32)})
    new = MasterKeys("k2", {"k2": bytes([1] * 32), "k1": bytes(32)})
    assert new.open(old.seal(b"x", context="c"), context="c") == b"x"
    assert new.seal(b"x", context="c").split(".")[1] == "k2"
    with pytest.raises(MasterKeyError, match="IDP_MASTER_KEY_FILE"):
        old.open(new.seal(b"x", context="c"), context="c")


def test_master_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "master.key"
    master_keys.create_master_key(path)
    first = path.read_text()
    master_keys.create_master_key(path)
    assert path.read_text() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["master.key"]
    assert re.fullmatch(r"[0-9A-Za-z]{8}:[0-9A-Za-z+/]{43}=\n", first)


@pytest.mark.parametrize("content", ["", "x", "k1:AAAA\n", "k1:" + "A" * 43 + "=\nrubbish\n", "\xff"])
def test_damaged_master_key_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(content.encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises(MasterKeyError, match=r"master\.key"):
        master_keys.load_master_keys(path)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o620, 0o660, 0o610, 0o644, 0o444])
def test_master_key_file_that_others_can_get_at_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "master.key"
    master_keys.create_master_key(path)
    path.chmod(mode)
    with pytest.raises(MasterKeyError, match="chmod 600"):
        master_keys.load_master_keys(path)


@pytest.mark.parametrize("mode", [0o440, 0o640, 0o400, 0o600])
def test_master_key_file_may_be_read_by_a_group_of_the_process_and_by_no_other(
    tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "master.key"
    master_keys.create_master_key(path)
    path.chmod(mode)
    group = path.stat().st_gid
    monkeypatch.setattr(os, "getegid", lambda: group + 1)
    monkeypatch.setattr(os, "getgroups", lambda: [group + 2, group])
    assert master_keys.load_master_keys(path).by_id
    monkeypatch.setattr(os, "getgroups", lambda: [group + 2])
    if mode & 0o040:
        with pytest.raises(MasterKeyError, match=f"mode {mode:04o}.*fsGroup"):
            master_keys.load_master_keys(path)
    else:
        assert master_keys.load_master_keys(path).by_id


def test_uids_of_one_time_are_ordered_by_it_and_differ() -> None:
    uids = [crypto.ordered_uid(1_700_000_000 + each / 1_000) for each in range(100)]
    assert uids == sorted(uids)
    again = {crypto.ordered_uid(1_700_000_000) for _ in range(100)}
    assert len(again) == 100
    assert {(uuid.UUID(uid).version, uuid.UUID(uid).variant) for uid in again} == {(7, uuid.RFC_4122)}


@given(st.integers(min_value=0, max_value=(1 << 256) - 1), st.integers(min_value=43, max_value=60))
def test_base62_is_read_back_and_as_wide_as_asked_for(number: int, width: int) -> None:
    written = crypto.base62(number, width)
    assert len(written) == width
    assert crypto.number_in(written) == number
    assert crypto.base62(number, 6) == written[-6:]
