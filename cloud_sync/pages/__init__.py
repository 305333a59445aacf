"""What the pages of both ends share: who may do what, the frame, the words, the security around them.

A site is a `Site` and its routers; `make_application` puts login, sessions, CSRF, headers, errors and the audit log
around them. Nothing here knows what a station or a hub is.
"""
