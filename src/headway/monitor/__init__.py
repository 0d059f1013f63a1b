"""Monitor: from each day's predictions and outcomes to findings, and from findings to what should be done."""
