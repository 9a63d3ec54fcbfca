"""One module per subcommand of emghand."""
