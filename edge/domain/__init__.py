"""The station's nouns: frozen dataclasses, checked once at construction; no IO, numpy only."""
