"""What the server survives: load with a history, faults under it, and a checker of what was answered.

A history is what clients saw: each call with its time and answer. The checker knows nothing of the server; it finds what no server may
answer: an acknowledged write that is gone, a one-time thing that worked twice, something revoked that works a second later, a token that
the key set of its time does not verify. `bugs/` has faults of the server, planted one at a time, which the checker must find.

`make faults` runs all of it for longer, and writes docs/reliability.md.
"""
