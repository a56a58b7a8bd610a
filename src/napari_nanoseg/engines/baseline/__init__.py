"""Models without a network: thresholds, and a watershed."""
