from brokers import broker

__all__ = ["broker"]
