"""The station's pages, a process of their own: it reads what the daemon wrote, and asks the daemon as anybody does.

It reads the station's database, images and status file, speaks at the line port as `edge feedback` does, and starts
the product's own commands. The daemon does not know it: without the pages, or with the cloud gone, it inspects.
"""
