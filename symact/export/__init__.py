"""Functions to take home: standalone Python, ONNX, pictures."""
