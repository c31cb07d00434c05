"""The built-in kitchen: a gantry with an adhesive finger and ten joints."""
