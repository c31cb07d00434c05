"""Commands that are small: what they print, and nothing that a library user would miss."""
