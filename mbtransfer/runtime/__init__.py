"""Runtime services: files, processes, terminal, progress."""
