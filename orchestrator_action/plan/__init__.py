"""Which issues may run: who may ask, on which text, in which order."""
