"""Sign-ins by password at a given rate, from a process of its own: `python -m tests.faults.flood`, which prints what was answered as JSON.

They come from as many addresses, as a proxy would say, for one address may hold only a part of the places.
"""

import argparse
import asyncio
import json
import random
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from tests.forking import PROJECT

PATIENCE = 60.0
"""Seconds for which a sign-in waits for its answer."""


@dataclass(frozen=True)
class Flood:
    """What was answered: each sign-in's status (0 for nothing), and the seconds it took."""

    answers: list[tuple[int, float]]
    without_time: int
    """Answers 429 and 503 that do not say when to try again."""

    def within(self, part: float, *statuses: int) -> float:
        """Return within how many seconds a part of the answers of some statuses came."""
        took = sorted(seconds for status, seconds in self.answers if status in statuses)
        return took[min(len(took) - 1, int(part * len(took)))] if took else 0.0

    def count(self, *statuses: int) -> int:
        """Return how many answers had one of some statuses."""
        return sum(status in statuses for status, _ in self.answers)


def start(
    urls: Sequence[str], emails: Sequence[str], password: str, *, rate: float, at_once: int, seconds: float
) -> psutil.Popen:
    """Begin a flood; see `read`.

    :param emails: accounts, of which some may not exist.
    :param rate: sign-ins that begin each second; 0 for the next one when one is answered.
    :param at_once: how many may wait for an answer.
    """
    numbers = ["--rate", str(rate), "--at-once", str(at_once), "--seconds", str(seconds)]
    command = [sys.executable, "-m", "tests.faults.flood", "--password", password, "--emails", *emails, "--urls", *urls, *numbers]
    return psutil.Popen(command, cwd=PROJECT, stdout=-1, text=True)


def read(process: psutil.Popen) -> Flood:
    """Wait for the end of a flood, and return what was answered."""
    said, _ = process.communicate()
    assert process.returncode == 0, "the flood has failed"
    found = json.loads(said)
    return Flood([(status, seconds) for status, seconds in found["answers"]], found["without_time"])


class _Client:
    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen, self._chance = chosen, random.Random(0)
        self.answers: list[tuple[int, float]] = []
        self.without_time = 0

    async def run(self) -> None:
        """Sign in until the time is over."""
        end, begun = time.monotonic() + self._chosen.seconds, time.monotonic()
        if not self._chosen.rate:

            async def sign_in_again_and_again() -> None:
                while time.monotonic() < end:
                    await self._sign_in()

            await asyncio.gather(*(sign_in_again_and_again() for _ in range(self._chosen.at_once)))
            return
        waiting: set[asyncio.Task[None]] = set()
        number = 0
        while time.monotonic() < end:
            number += 1
            await asyncio.sleep(max(0.0, begun + number / self._chosen.rate - time.monotonic()))
            if len(waiting) < self._chosen.at_once:
                task = asyncio.create_task(self._sign_in())
                waiting.add(task)
                task.add_done_callback(waiting.discard)
        await asyncio.gather(*waiting)

    async def _sign_in(self) -> None:
        begun = time.monotonic()
        try:
            head = await asyncio.wait_for(self._answer(), PATIENCE)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            head = b""
        status = int(head.split()[1]) if head else 0
        self.answers.append((status, time.monotonic() - begun))
        self.without_time += status in {429, 503} and not re.search(rb"\r\nretry-after: \d", head, re.IGNORECASE)

    async def _answer(self) -> bytes:
        host, _, port = self._chance.choice(self._chosen.urls).rpartition("/")[2].partition(":")
        email = self._chance.choice(self._chosen.emails)
        body = json.dumps({"emailId": email, "password": self._chosen.password, "org": "acme"}).encode()
        address = ".".join(["10", *(str(self._chance.randrange(1, 255)) for _ in range(3))])
        head = (
            f"POST /v1/auth/authenticate HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\nX-Forwarded-For: {address}\r\n"
        )
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            return await reader.readuntil(b"\r\n\r\n")
        finally:
            writer.close()


def main() -> None:
    """Flood, and print what was answered."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--urls", nargs="+", required=True)
    parser.add_argument("--emails", nargs="+", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--at-once", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    client = _Client(parser.parse_args())
    asyncio.run(client.run())
    print(json.dumps({"answers": client.answers, "without_time": client.without_time}))


if __name__ == "__main__":
    main()
