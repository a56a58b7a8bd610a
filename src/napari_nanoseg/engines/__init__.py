"""Networks: training, prediction and interoperability with the original frameworks."""
