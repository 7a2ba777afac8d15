"""Pages to look at in a browser: one file, no script, no request."""
