"""Resource servers that come and go, and clients that nobody has registered (RFC 9728, RFC 8707, client ID metadata documents)."""
