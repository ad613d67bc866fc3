"""Says of any daily spend which days are unlike the days before them, by what was known then.

`panel` puts spend into series, `walk` judges them day by day, and the others are what it asks.
"""
