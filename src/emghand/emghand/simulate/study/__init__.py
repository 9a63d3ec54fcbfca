"""A generated study: sessions of people whose skill grows over weeks, to try what follows them."""
