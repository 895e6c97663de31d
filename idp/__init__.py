"""Realmgate: an OpenID Connect identity and token server for platforms whose users are mostly programs.

This module imports nothing, so that an API can use `idp.verifier` and its `idp.jose` without the server's dependencies.
"""

__version__ = "0.1.0"
