"""Training on the CPU that is there (or a GPU): augmentation, the run, its checkpoints, threads by measuring."""
