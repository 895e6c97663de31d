"""What a command knows of the database is what a worker knows of it, though it loads no edge."""

import json
import subprocess
import sys

_TELL = """
import json, sys, importlib
importlib.import_module(sys.argv[1])
from idp import feed
from idp.db import Base
from idp.vault.sealed import sealed_columns
sealed = sorted(str(each.column) for each in sealed_columns())
print(json.dumps([sorted(Base.metadata.tables), sealed, sorted(feed._REACTIONS), "idp.api" in sys.modules]))
"""


def told_of(module: str) -> list[object]:
    """Return the tables, sealed columns and reactions that there are once a module is imported, and whether the API is."""
    done = subprocess.run([sys.executable, "-c", _TELL, module], capture_output=True, text=True, check=True)
    told: list[object] = json.loads(done.stdout)
    return told


def test_commands_know_all_tables_sealed_columns_and_reactions_without_any_edge() -> None:
    *of_commands, with_edges = told_of("idp.opening")
    *of_workers, _ = told_of("idp.server.worker")
    assert of_commands == of_workers
    assert all(of_commands)
    assert with_edges is False
