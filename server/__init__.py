"""The running system: web server, worker, command line, and the features they serve."""
