"""The authority behind the fleet's mutual TLS: who gets a certificate, for how long, and who no longer has one."""
