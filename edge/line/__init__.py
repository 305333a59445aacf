"""The line port: triggers in, verdicts out; its protocol, its server, and the simulator that speaks to it."""
