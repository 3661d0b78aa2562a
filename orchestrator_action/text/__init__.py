"""Text of strangers in, text of agents out: what a person sees, without secrets, within limits."""
