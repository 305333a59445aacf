"""From labels to a better model: what triggers a training, and the durable work from its data to its rollout."""
