from brokers import broker
from postgres_kit import place, postgres

__all__ = ["broker", "place", "postgres"]
