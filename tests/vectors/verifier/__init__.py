"""The vectors in clients/vectors, which the verifiers in Python, TypeScript and Go all read.

`python -m tests.vectors.verifier` writes them. Keys and signatures are the same every time, so only what was changed changes.
"""
