from brokers import broker
from coco_kit import cloud, filled
from postgres_kit import place, postgres

__all__ = ["broker", "cloud", "filled", "place", "postgres"]
