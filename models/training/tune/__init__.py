"""What threads, cores and BF16 do to training on this machine, shown on LeNet-5 with Fashion-MNIST."""
