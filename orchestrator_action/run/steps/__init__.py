"""The four steps of a run as jobs of their own: a plan, bundles and verdict documents travel between them as files."""
