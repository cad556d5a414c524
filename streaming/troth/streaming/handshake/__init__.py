"""Noise XX with the principals of a session: keys, identities, epochs and the replay window."""
