"""Definitions in, DuckDB SQL and the same definition's one-row form out.

One relational language: columns, look-ups *as of* a moment and windowed aggregates over a closed list of functions.
It knows no machine learning; it knows time.
"""
