"""Entropy coding: Huffman tables, scans and their statistics (T.81 annexes C, F, G)."""
