"""What tokens are signed with. A module of its own, so that to name them costs nothing else."""

SIGNING_ALGORITHMS = ("RS256", "ES256")
"""Algorithms that realms sign with (RFC 7518 §3.1)."""
