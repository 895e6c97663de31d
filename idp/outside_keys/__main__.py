"""The process that uses an outside key, see `helper`."""

from idp.outside_keys.helper import main

if __name__ == "__main__":
    main()
