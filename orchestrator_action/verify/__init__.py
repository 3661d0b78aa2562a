"""Facts: clean checkouts, test runs, comparisons, review. Nothing here believes what an agent says."""
