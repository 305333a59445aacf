"""Files of the stations: pieces that come up, releases that go down, and where they lie."""
