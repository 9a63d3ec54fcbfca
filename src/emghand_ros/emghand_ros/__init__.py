"""What every emghand node shares: lifecycle, parameters, QoS and conversions."""
