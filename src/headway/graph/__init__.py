"""Running a packaged model: ONNX graphs, batch or row. Mechanism: it knows columns and scores, no learning."""
