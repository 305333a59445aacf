"""Graph builders: openvino opsets without torch."""
