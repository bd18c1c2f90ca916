"""The search for the smallest file that meets a target. It uses both the codec and the metrics."""
