"""Processes in mounts of their own, as containers have them, where this machine allows it."""

import shutil
import subprocess


def namespaces_missing() -> str | None:
    """Return why no process can be given mounts of its own, or None when one can."""
    if shutil.which("unshare") is None or shutil.which("setpriv") is None:
        return "this machine has no unshare and setpriv"
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True, check=False
    )
    return f"mounts cannot be made here: {tried.stderr.strip()}" if tried.returncode else None
