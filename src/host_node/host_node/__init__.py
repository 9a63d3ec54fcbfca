"""What runs on every host: its clock, its devices, and the processes it is asked for."""
