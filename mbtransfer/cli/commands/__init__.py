"""Commands: each receives parsed settings, calls the library and prints the result."""
