"""Kernels, threads, memory and exact arithmetic: what runs below everything else."""
