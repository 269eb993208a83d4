"""One module per experiment: see experiment.py for what a module has."""
