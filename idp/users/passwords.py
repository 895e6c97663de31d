"""Passwords that people choose: what they may be, and how they are hashed without standing in the way of tokens."""

import contextlib
import os
import threading
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from typing import TypeVar

import argon2

from idp import audit
from idp.errors import IdpError, InvalidValueError, Kind
from idp.networks import wide_network_of
from idp.runtime import Runtime
from idp.telemetry import count

SHORTEST, LONGEST = 8, 1024
"""Characters of a password (R106). Nothing is cut off: a longer one is refused."""

MOST_COMMON = 3_000
"""How many of the most common passwords of 8 characters or more are refused."""

HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=65_536, parallelism=1, hash_len=32, salt_len=16)
"""argon2id (RFC 9106): two passes over 64 MiB, on one thread so that two hashes at once do not become eight."""

LONGEST_WAIT = 3.0
"""Seconds for which a password waits while others are hashed. Where that is slow, those that wait would be what is slow next."""

LIKELY = 0.5
"""Part of that which a password may have to wait by what the last ones took: some take twice as long."""

CROWDED = 10.0
"""Seconds after somebody was put off in which the next ones are put off at once rather than tried."""

REMEMBERED = 4
"""Hashes, about, by which it is told how long the next one takes."""

SHARE = 3
"""Which part of the slots one network may hold: a third, and one at the least."""

Result = TypeVar("Result")


class BusyError(IdpError):
    """More passwords wait to be hashed than is good for everybody else."""

    kind, retry_after = Kind.UNAVAILABLE, 5


def check_password(password: str, *about: str) -> str:
    """Return a new password if it is good enough: long enough, not common, and not the name of its owner (R106).

    :param about: what the password must not be: the account's name, the realm's.
    :raises InvalidValueError: it is not; the sentence does not repeat it.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidValueError(f"A password must have {SHORTEST} to {LONGEST} characters, of any kind.")
    folded = _normal(password).casefold()
    if folded in _common_passwords():
        raise InvalidValueError(f"This password is among the {MOST_COMMON:,} most common ones. Choose another.")
    if folded in {each.casefold() for each in about if each}:
        raise InvalidValueError("A password cannot be the name of the account or of the organisation. Choose another.")
    return password


@cache
def _common_passwords() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415 (30,000 words that are needed rarely)

    by_frequency = (word for word in FREQUENCY_LISTS["passwords"] if len(word) >= SHORTEST)
    return frozenset(word for word, _ in zip(by_frequency, range(MOST_COMMON), strict=False))


def _normal(password: str) -> str:
    """Return the one form of a password that keyboards write in different ways (NFKC, RFC 8265 §4.1)."""
    return unicodedata.normalize("NFKC", password)


@cache
def _nobodys_hash() -> str:
    return HASHER.hash(os.urandom(16))


class PasswordHashing:
    """The threads that hash, and the slots in front of them.

    A hash takes about a tenth of a second and lets go of the interpreter lock, so it runs on a thread of low priority:
    tokens of the same worker come first. Only so many requests may wait, since each keeps one of the worker's threads; and
    only so many of one network, so that whoever sends many keeps nobody else out.
    """

    def __init__(self, process: Runtime) -> None:
        hashers = process.settings.password_hashers
        self._slots = hashers + max(1, process.settings.threads // 4)
        self._share = max(1, self._slots // SHARE)
        self._taken: Counter[str] = Counter()
        self._hashers, self._in_hand = hashers, 0
        self._takes = 0.0
        """Seconds that one takes, about: more where tokens leave it little of the processor."""
        self._put_off_at = float("-inf")
        """When somebody was put off last, on the steady clock."""
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(hashers, thread_name_prefix="passwords", initializer=_step_back)

    @contextlib.contextmanager
    def slot(self, address: str | None = None) -> Iterator[None]:
        """Take a place in the queue for the time of the block, in which nothing else may be waited for that takes long.

        :param address: the client's; by default that of who acts.
        :raises BusyError: there is none, or none for that network.
        """
        network = wide_network_of(audit.current_actor().address if address is None else address)
        with self._lock:
            taken = self._taken.total()
            free = taken < self._slots and self._taken[network] < self._share
            # else it would have waited in vain; which is a guess, and is tried with one behind each hash while nobody is put off
            is_first = taken <= self._hashers and time.monotonic() - self._put_off_at > CROWDED
            free = free and (is_first or taken * self._takes <= LIKELY * LONGEST_WAIT * self._hashers)
            if free:
                self._taken[network] += 1
        if not free:
            raise self._too_many()
        try:
            yield
        finally:
            with self._lock:
                self._taken[network] -= 1
                if not self._taken[network]:
                    del self._taken[network]

    def hash(self, password: str) -> str:
        """Return the hash of a new password; to be called in a `slot`.

        :raises BusyError: its turn did not come in time.
        """
        return self._run(lambda: HASHER.hash(_normal(password)))

    def verify(self, password_hash: str, password: str) -> tuple[bool, str]:
        """Tell whether a password is right, at the same cost when there is none to compare with.

        :returns: whether it is, and a new hash where the stored one was made with other parameters (else empty).
        :raises BusyError: its turn did not come in time.
        """

        def compare() -> tuple[bool, str]:
            right = False
            with contextlib.suppress(argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
                right = bool(HASHER.verify(password_hash or _nobodys_hash(), _normal(password)))
            if not right or not password_hash:
                return False, ""
            return True, HASHER.hash(_normal(password)) if HASHER.check_needs_rehash(password_hash) else ""

        return self._run(compare)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _run(self, work: Callable[[], Result]) -> Result:
        with self._lock:
            has_to_wait = self._in_hand >= self._hashers
            self._in_hand += 1
        try:
            waiting = self._pool.submit(self._timed, work)
            wait([waiting], LONGEST_WAIT if has_to_wait else None)  # which counts the start of a thread, too, for the first
            if waiting.cancel():  # which what has begun cannot be
                raise self._too_many()
            return waiting.result()
        finally:
            with self._lock:
                self._in_hand -= 1

    def _too_many(self) -> BusyError:
        self._put_off_at = time.monotonic()
        count("realmgate_rate_limited", 1, "sign-in-seats")
        return BusyError("Too many sign-ins at the same time. Try again in a few seconds.")

    def _timed(self, work: Callable[[], Result]) -> Result:
        began = time.monotonic()
        try:
            return work()
        finally:
            self._takes += (time.monotonic() - began - self._takes) / REMEMBERED


def _step_back() -> None:
    with contextlib.suppress(OSError, AttributeError):  # a system where threads have no priority of their own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
    _nobodys_hash()


def password_hashing(process: Runtime) -> PasswordHashing:
    """Return this process's password threads, made at their first use."""
    found: PasswordHashing | None = process.extensions.get("passwords")
    return found if found is not None else process.extensions.setdefault("passwords", PasswordHashing(process))
