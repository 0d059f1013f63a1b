"""The Build stage: candidates, the search among them, the choice of one, and its packaging as one graph."""
