"""Science of a myoelectric hand: signals, decoding, control, evaluation, storage. No ROS."""
