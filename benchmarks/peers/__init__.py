"""Planning throughput beside the libraries that one would install instead."""
