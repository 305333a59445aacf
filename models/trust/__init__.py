"""Which releases are ours: keys, signed metadata, and how a station checks it. The only user of tuf."""
