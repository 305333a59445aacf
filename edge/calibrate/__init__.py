"""What `edge calibrate` does, step by step: collect, fit, quantize, threshold, report, activate."""
