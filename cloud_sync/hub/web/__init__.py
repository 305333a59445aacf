"""The fleet's pages, a process of their own: they read the store.

What people decide is written by the hub's own doors, as its commands do.
"""
