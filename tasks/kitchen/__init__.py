"""The built-in kitchen: a gantry with one adhesive finger, and ten joints to move by nine handles."""
