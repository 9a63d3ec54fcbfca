"""From x_hat to out_x_hat: the output filters, and the decoder with its filters as one step."""
