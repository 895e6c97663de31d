"""A simulation of many nodes on one database: what docs/scaling.md says of sizes that cannot be measured here.

`python -m tests.simulate` prints the tables of that page. Nothing in it depends on a clock: what happens, happens in the order of a
heap, and what is left to chance comes from a seed. What each thing costs was measured by `make bench ARGS='--only nodes'`, and stands
in `costs.py`.
"""
