"""Pairs of faces that are hard to tell: how photos are spoilt, which pairs, what is counted.

spoiling.py     crops made worse, by kind and strength
faces.py        aligned faces of the data sets' folders
pairs.py        the parts and their lists
judging.py      misses at a false match rate
"""
