"""For tests, pictures and benchmarks: when is everything on the screen?"""
