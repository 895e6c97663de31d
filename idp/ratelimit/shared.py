"""Rates counted in Valkey, so that all processes of all nodes count together.

Valkey holds nothing whose loss does harm: when it cannot be asked, is full, has forgotten what it counted, or answers late or
nonsense, the caller counts in memory.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any

ASK_FOR = 0.05
"""Seconds that Valkey may take to answer before it counts as gone."""

LEAVE_ALONE = 1.0
"""Seconds for which a Valkey that did not answer is not asked again."""

_log = logging.getLogger(__name__)

# One step for all keys, on the clock of the server: what two processes do at once, it does one after the other.
_SCRIPT = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local new = {}
for i, key in ipairs(KEYS) do
  local each = 1 / tonumber(ARGV[3 * i - 2])
  local room = each * tonumber(ARGV[3 * i - 1])
  local cost = tonumber(ARGV[3 * i])
  local held = redis.pcall('GET', key)
  if type(held) == 'table' then
    redis.call('DEL', key)
  end
  local full = type(held) == 'string' and tonumber(held) or 0
  if not (full > now) then
    full = now
  elseif full > now + room then
    full = now + room
  end
  local wait = full + each * math.max(cost, 1) - now - room
  if wait > 0.000001 then
    return {'refused', i - 1, tostring(wait)}
  end
  new[i] = full + each * cost
end
local answer = {'counted'}
for i, key in ipairs(KEYS) do
  if tonumber(ARGV[3 * i]) > 0 then
    redis.call('SET', key, string.format('%.6f', new[i]), 'PX', math.ceil((new[i] - now) * 1000) + 1000)
  end
  answer[i + 1] = tostring(new[i] - now)
end
return answer
"""


class StoreError(Exception):
    """Valkey could not be asked."""


class SharedCounters:
    """Counters in Valkey."""

    def __init__(self, url: str) -> None:
        import valkey  # noqa: PLC0415 (of no use to who has no Valkey)

        self._failures = (valkey.ValkeyError, OSError, ValueError, TypeError, IndexError)
        self._client = valkey.Valkey.from_url(url, socket_timeout=ASK_FOR, socket_connect_timeout=ASK_FOR)
        self._script = self._client.register_script(_SCRIPT)
        self._away_until = 0.0

    def use(self, uses: Sequence[tuple[str, float, int, int]]) -> list[float] | tuple[int, float]:
        """Count all uses or none: key, uses a second, burst and cost of each.

        :returns: for each the seconds until its bucket is full again; or the number of the one that has no room, and the
            seconds until it has.
        :raises StoreError: Valkey cannot be asked.
        """
        if time.monotonic() < self._away_until:
            raise StoreError
        arguments = [value for _, per_second, burst, cost in uses for value in (per_second, burst, cost)]
        try:
            answer: Any = self._script(keys=[f"realmgate:rate:{key}" for key, *_ in uses], args=arguments)
            if answer[0] == b"refused":
                return int(answer[1]), float(answer[2])
            return [float(each) for each in answer[1:]]
        except self._failures as error:
            self.leave_alone(f"it cannot be asked: {type(error).__name__}")
            raise StoreError from error

    def leave_alone(self, reason: str) -> None:
        """Ask Valkey no more for a moment, and say why."""
        self._away_until = time.monotonic() + LEAVE_ALONE
        _log.warning("rates are counted in memory, and stricter, for Valkey is of no use: %s", reason)

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()  # type: ignore[no-untyped-call]  # the library's
