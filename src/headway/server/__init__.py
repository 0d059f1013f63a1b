"""Headway over HTTP: predictions on the hot path, health and metrics, outcomes and management through a port.

``app`` dispatches, ``predict`` is the hot path alone, ``health`` and ``manage`` are the rest, ``statuses`` says which
error is which status, ``run`` starts and stops a process.
"""
