"""Small neural networks: fitted with PyTorch, run tick by tick with numpy."""
