"""Signal processing, decoding, control, evaluation and storage for myoelectric hands. Plain Python."""
