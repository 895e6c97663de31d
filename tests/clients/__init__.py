"""The verifiers in TypeScript and Go: their own tests, and they themselves against the served program."""
