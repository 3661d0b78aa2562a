"""Results as text: comments, checks, the report as JSON and HTML."""
