"""Validate: is this model good enough, for whom not, and what is it worth; may it take over."""
