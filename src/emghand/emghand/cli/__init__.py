"""The emghand command."""
