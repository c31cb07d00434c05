"""How far a model can be trusted: where its pool has been, what it promises, and whether that holds."""
