"""The sync between stations and the cloud, both ends, and what the cloud does with what arrives."""
