"""Where the codec and the metrics meet: the search for the smallest file that looks as asked."""
