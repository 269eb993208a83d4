"""design.py - which levels of which factors a run gets.

Every factor's levels are dealt out to the runs in proportion to their weights, and shuffled for each factor by itself: each level is met
as often as its weight says, and together with levels of the other factors at random. The same seed gives the same design.
"""
import random


def draw(factors, runs, seed):
    """factors: {name: {level: weight}}. Returns a dict of levels per run."""
    columns = {name: dealt(levels, runs, random.Random(f"{seed} {name}")) for name, levels in factors.items()}
    return [{name: column[i] for name, column in columns.items()} for i in range(runs)]


def dealt(levels, runs, source):
    """A shuffled list of levels. What the proportions leave over goes to levels drawn by weight."""
    total = sum(levels.values())
    column = [level for level, weight in levels.items() for _ in range(runs * weight // total)]
    column += source.choices(list(levels), list(levels.values()), k=runs - len(column))
    source.shuffle(column)
    return column
