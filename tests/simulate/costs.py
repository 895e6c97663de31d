"""What each thing costs, in seconds, as `make bench ARGS='--only nodes'` has measured it: see docs/scaling.md for how, and on what."""

from dataclasses import dataclass

ROUND_TRIP = 0.5e-3
"""Between two machines of one place: assumed, for all was measured on one."""

DISK = 1e-3
"""A commit's wait for the disk: assumed, too."""


@dataclass(frozen=True)
class Costs:
    """Processor time of a worker (node) and of PostgreSQL (database)."""

    token_node: float
    """One token of one ES256 signature, with everything that its worker does for it later: writing it down, sealing."""
    poll_node: float
    poll_database: float
    """A question whether something changed: begin, ask, commit."""
    row_node: float
    row_database: float
    """One event more in a write."""
    write_node: float
    write_database: float
    """A write whatever it holds: its statements and its commit."""
    seal_row_node: float
    seal_row_database: float
    """One event more in a batch: reading and hashing it, and storing its digest."""
    seal_realm_node: float
    seal_realm_database: float
    """One realm more in it: its newest batch is looked at, and its new one signed and marked."""
    seal_look: float
    """A look for what is to be sealed, of the database."""
    rest_database: float
    """What a worker asks of PostgreSQL every second that nobody has asked it for."""
    limiter_node: float
    """A token that is counted in Valkey, over one that is counted in memory."""
    limiter_store: float
    """The same, of Valkey's only thread."""
    connections: int
    """That a worker may open: IDP_DATABASE_CONNECTIONS."""
    connections_used: float
    """That it does open for tokens."""
    event_bytes: int
    """A token's row in the audit trail, with its indexes and its part of the seal."""
    key_bytes: int
    """An API key in the database, with its indexes."""
    application_bytes: int
    """What an application takes in the memory of a worker."""
    node_megabytes: float
    worker_megabytes: float
    """A node's main process, and each worker, as proportional set size."""

    @property
    def poll_wait(self) -> float:
        """Return what a poll takes beside PostgreSQL's time: three statements."""
        return self.poll_node + 3 * ROUND_TRIP

    @property
    def write_wait(self) -> float:
        """Return what a write takes beside PostgreSQL's time and its events: six statements, the last of which waits for the disk."""
        return self.write_node + 6 * ROUND_TRIP + DISK

    @property
    def seal_realm_wait(self) -> float:
        """Return what a realm takes beside PostgreSQL's time: eight statements."""
        return self.seal_realm_node + 8 * ROUND_TRIP

    @property
    def seal_wait(self) -> float:
        """Return what a batch takes beside PostgreSQL's time, its events and its realms: five statements, and the disk."""
        return 5 * ROUND_TRIP + DISK


MEASURED = Costs(
    token_node=364e-6,
    poll_node=405e-6,
    poll_database=222e-6,
    row_node=25e-6,
    row_database=32e-6,
    write_node=4.1e-3,
    write_database=1.3e-3,
    seal_row_node=27e-6,
    seal_row_database=8e-6,
    seal_realm_node=4.4e-3,
    seal_realm_database=1.3e-3,
    seal_look=1.8e-3,
    rest_database=2.3e-3,
    limiter_node=235e-6,
    limiter_store=85e-6,
    connections=10,
    connections_used=3.5,
    event_bytes=329,
    key_bytes=375,
    application_bytes=4_091,
    node_megabytes=104,
    worker_megabytes=29,
)


@dataclass(frozen=True)
class Measured:
    """What was measured of whole nodes of one worker each, all on one core, issuing tokens of one application."""

    per_second: float
    database_per_token: float
    """Seconds of PostgreSQL's processor time."""


MEASURED_HERE = {1: Measured(1_932, 50.5e-6), 2: Measured(1_777, 41.6e-6)}
"""By the number of nodes."""

TWO_OVER_ONE = 1.96
"""What two nodes issue on cores of their own over what one does, by what a token costs a node alone and beside one that is asked as much."""
