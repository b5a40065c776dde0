"""The audit's rules: what one booking looks like everywhere, and what must not be seen there. Pure functions."""
