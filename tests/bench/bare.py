"""The comparison: a bare Flask route, served by the same server with the same number of threads."""

from flask import Flask

app = Flask("bare")


@app.post("/bare")
def bare() -> str:
    """Answer two letters."""
    return "ok"
