import sys
from pathlib import Path

from brokers import broker

sys.path.insert(0, str(Path(__file__).parent))  # outboxes.py and clouds.py, which only these tests use

__all__ = ["broker"]
