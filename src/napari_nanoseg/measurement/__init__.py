"""From instances to calibrated tables and distributions."""
