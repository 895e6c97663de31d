"""The master keys: the file that holds them, wrapped by an outside key or not, and the ring that seals and opens under them."""

from idp.master_keys.file import cannot_replace, read_key_file, write_key_file
from idp.master_keys.ring import MasterKeys, create_master_key, load_master_keys, make_line, make_master_key

__all__ = [
    "MasterKeys",
    "cannot_replace",
    "create_master_key",
    "load_master_keys",
    "make_line",
    "make_master_key",
    "read_key_file",
    "write_key_file",
]
