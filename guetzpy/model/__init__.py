"""Models: files of fitted parameters of the search. Loading a model executes no code of the file."""
