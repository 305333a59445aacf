"""How many millimetres a camera's pixel is."""
