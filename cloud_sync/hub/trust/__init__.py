"""The cloud's end of signed releases: what is signed and kept, and what stations ask of it."""
