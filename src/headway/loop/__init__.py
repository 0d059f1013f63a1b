"""The only place that knows the order of the stages, and when to go round again."""
