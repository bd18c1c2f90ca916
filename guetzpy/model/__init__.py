"""Models: fitted parameters of the search in a file, which is loaded without executing anything in it."""
