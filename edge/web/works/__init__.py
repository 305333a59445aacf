"""Works: the product's own commands, started from a page, each a process that gives way to the line.

A work outlives the pages: its folder says what it is, what it said and how it ended, and its lock that it runs. One of
a kind at a time, whoever asks, also after the pages were started anew.
"""
