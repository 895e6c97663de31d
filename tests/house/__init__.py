"""How the house is built: what the linters do not know."""
