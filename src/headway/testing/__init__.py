"""Contracts as test suites: what a plug-in inherits to be held to what Headway expects of it."""
