"""From x_hat to out_x_hat: the output filters."""
