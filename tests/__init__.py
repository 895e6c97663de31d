"""The tests of Realmgate. They mirror idp/; tests/flows and tests/interop drive the served program."""
