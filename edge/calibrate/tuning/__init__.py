"""How this machine runs this station's models best: candidates, search, rehearsal, plan, and what fits the machine."""
