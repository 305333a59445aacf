"""Where the cloud keeps what arrived."""
