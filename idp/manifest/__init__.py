"""Realms as files: read, compare with the database, apply, export."""

from idp.manifest.export import export_realm
from idp.manifest.plan import Change, apply_plan, create_empty_realm, make_plan
from idp.manifest.schema import RealmFile, RealmFileError, find_files, read_file, read_files

__all__ = [
    "Change",
    "RealmFile",
    "RealmFileError",
    "apply_plan",
    "create_empty_realm",
    "export_realm",
    "find_files",
    "make_plan",
    "read_file",
    "read_files",
]
