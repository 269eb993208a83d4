"""The laboratory behind bench/run. __main__.py reads the command line; one module of experiments/ is one experiment."""
