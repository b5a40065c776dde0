"""The embedded stack: every part of the product and of its surroundings as processes of this machine."""
