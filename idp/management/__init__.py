"""What operators and their machines ask the server: whether it lives, whether it is ready, and how it fares."""

from idp.management.health import register
from idp.management.port import ManagementPort, PortError, ask_worker, read_counter

__all__ = ["ManagementPort", "PortError", "ask_worker", "read_counter", "register"]
