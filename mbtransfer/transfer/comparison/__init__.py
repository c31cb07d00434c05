"""Comparison of transfer methods: runs, budgets, aggregates and tables."""
