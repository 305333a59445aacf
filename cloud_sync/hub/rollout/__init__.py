"""How far a release may go: shadow on the canary, live on the canary, then to the others, step by step, or back."""
