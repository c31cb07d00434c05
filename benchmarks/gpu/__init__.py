"""What a GPU gives: correctness beside the CPU, and speed; one JSON and one page."""
