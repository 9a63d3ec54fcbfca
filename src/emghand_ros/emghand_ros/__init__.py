"""What every emghand node shares: lifecycle, parameters, QoS, conversions, diagnostics."""
