"""Statistics of rows of numbers: means with intervals, and tests of them. Knows numpy alone."""
