"""What `edge bench` does: a whole station measured on this machine, as the line sees it."""
