"""The cloud end of the sync: collect, store, acknowledge."""
