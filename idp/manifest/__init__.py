"""Realms as files: read, compare with the database, apply, export."""

from idp.manifest.apply import apply_plan, create_empty_realm, prepare_keys
from idp.manifest.export import export_realm
from idp.manifest.file import RealmFile, RealmFileError
from idp.manifest.plan import Change, make_plan
from idp.manifest.read import find_files, read_file, read_files, read_folder

__all__ = [
    "Change",
    "RealmFile",
    "RealmFileError",
    "apply_plan",
    "create_empty_realm",
    "export_realm",
    "find_files",
    "make_plan",
    "prepare_keys",
    "read_file",
    "read_files",
    "read_folder",
]
