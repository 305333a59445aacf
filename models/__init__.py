"""The model's life: networks, quantization, evaluation, bundles. Code, never weights."""
