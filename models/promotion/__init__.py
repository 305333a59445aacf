"""Whether a new model may take the place of the one in use: proven on frames that neither learned from."""
