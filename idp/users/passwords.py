"""Passwords that people choose: what they may be, and how they are hashed without standing in the way of tokens."""

import contextlib
import os
import threading
import time
import unicodedata
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
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

LONGEST_WAIT_OF_NEXT = 6.0
"""Seconds for which the one waits whose turn is next, behind no more than what is being hashed: there are few of those."""

LIKELY = 0.5
"""Part of that which a password may have to wait by what the last ones took: some take twice as long."""

CROWDED = 10.0
"""Seconds after somebody waited in vain in which the next ones are put off at once rather than tried."""

REMEMBERED = 4
"""Hashes, about, by which it is told how long the next one takes."""

SHARE = 3
"""Which part of the seats one network may hold: a third, and one at the least."""

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


class Seat:
    """A place in the queue, without which no password is hashed."""

    def __init__(self, hashing: "PasswordHashing", network: str, *, is_first: bool, is_next: bool) -> None:
        self._hashing, self.network, self.is_first, self.is_next = hashing, network, is_first, is_next

    def hash(self, password: str) -> str:
        """Return the hash of a new password.

        :raises BusyError: its turn did not come in time.
        """
        return self._hashing.run(self, lambda: HASHER.hash(_normal(password)))

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

        return self._hashing.run(self, compare)


class PasswordHashing:
    """The threads that hash, and the seats in front of them.

    A hash takes about a tenth of a second and lets go of the interpreter lock, so it runs on a thread of low priority:
    tokens of the same worker come first. Only so many requests may wait, since each keeps one of the worker's threads; and
    only so many of one network. Networks take turns, so that whoever sends many makes nobody else wait for more than one.
    """

    def __init__(self, process: Runtime) -> None:
        hashers = process.settings.password_hashers
        self._seats = hashers + max(1, process.settings.threads // 4)
        self._share = max(1, self._seats // SHARE)
        self._taken: Counter[str] = Counter()
        self._waiting: dict[str, deque[Callable[[], None]]] = {}
        self._turns: dict[str, int] = {}
        """Which turn each network with a seat had last."""
        self._turn = 0
        self._hashers, self._in_hand = hashers, 0
        self._takes = 0.0
        """Seconds that one takes, about: more where tokens leave it little of the processor."""
        self._in_vain_at = float("-inf")
        """When the first of a network last waited in vain, on the steady clock. Of further ones it says nothing of others."""
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(hashers, thread_name_prefix="passwords", initializer=_step_back)

    @contextlib.contextmanager
    def seat(self, address: str | None = None) -> Iterator[Seat]:
        """Take a place in the queue for the time of the block, in which nothing else may be waited for that takes long.

        :param address: the client's; by default that of who acts.
        :raises BusyError: there is none, or none for that network.
        """
        network = wide_network_of(audit.current_actor().address if address is None else address)
        with self._lock:
            of_its_own = self._taken[network]
            ahead = self._ahead(network)
            if self._taken.total() >= self._seats or of_its_own >= self._share or not self._will_do(ahead):
                raise _too_many()
            self._taken[network] += 1
        try:
            yield Seat(self, network, is_first=not of_its_own, is_next=ahead <= self._hashers)
        finally:
            with self._lock:
                self._taken[network] -= 1
                if not self._taken[network]:
                    del self._taken[network]
                    self._turns.pop(network, None)

    def run(self, seat: Seat, work: Callable[[], Result]) -> Result:
        """Return what `work` returns when its turn has come.

        :raises BusyError: it did not come in time.
        """
        waiting: Future[Result] = Future()
        with self._lock:
            has_to_wait = self._in_hand >= self._hashers
            self._in_hand += 1
            self._waiting.setdefault(seat.network, deque()).append(lambda: self._hash(waiting, work))
        try:
            self._pool.submit(self._serve_next)
            longest = LONGEST_WAIT_OF_NEXT if seat.is_next else LONGEST_WAIT
            wait([waiting], longest if has_to_wait else None)  # which counts the start of a thread, too, for the first
            if waiting.cancel():  # which what has begun cannot be
                if seat.is_first:
                    self._in_vain_at = time.monotonic()
                raise _too_many()
            return waiting.result()
        finally:
            with self._lock:
                self._in_hand -= 1

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def _ahead(self, network: str) -> int:
        """Return how many come before the next of a network, as networks take turns."""
        of_its_own = self._taken[network]
        return sum(of_its_own if each == network else min(taken, of_its_own + 1) for each, taken in self._taken.items())

    def _will_do(self, ahead: int) -> bool:
        """Tell whether a turn is likely to come in time that has so many before it.

        That is a guess, so with one ahead for each hash it is tried, unless that was in vain just now.
        """
        if ahead <= self._hashers and time.monotonic() - self._in_vain_at > CROWDED:
            return True
        return ahead * self._takes <= LIKELY * LONGEST_WAIT * self._hashers

    def _serve_next(self) -> None:
        """Do the next piece of work of the network whose last turn is longest ago."""
        with self._lock:
            network = min(self._waiting, key=lambda each: self._turns.get(each, 0))
            work = self._waiting[network].popleft()
            if not self._waiting[network]:
                del self._waiting[network]
            self._turn += 1
            if network in self._taken:
                self._turns[network] = self._turn
        work()

    def _hash(self, waiting: "Future[Result]", work: Callable[[], Result]) -> None:
        if not waiting.set_running_or_notify_cancel():
            return
        try:
            result = self._timed(work)
        except BaseException as error:  # noqa: BLE001 (whoever waits for it raises it)
            waiting.set_exception(error)
        else:
            waiting.set_result(result)

    def _timed(self, work: Callable[[], Result]) -> Result:
        began = time.monotonic()
        try:
            return work()
        finally:
            self._takes += (time.monotonic() - began - self._takes) / REMEMBERED


def _too_many() -> BusyError:
    count("realmgate_rate_limited", 1, "sign-in-seats")
    return BusyError("Too many sign-ins at the same time. Try again in a few seconds.")


def _step_back() -> None:
    with contextlib.suppress(OSError, AttributeError):  # a system where threads have no priority of their own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
    _nobodys_hash()


def password_hashing(process: Runtime) -> PasswordHashing:
    """Return this process's password threads, made at their first use."""
    found: PasswordHashing | None = process.extensions.get("passwords")
    return found if found is not None else process.extensions.setdefault("passwords", PasswordHashing(process))
