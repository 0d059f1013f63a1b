"""Frozen data and pure functions: the words that every stage speaks. Nothing here touches a disk or a network."""
