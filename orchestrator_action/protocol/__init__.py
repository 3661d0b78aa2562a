"""The model: values, phases, events, the judge, the wire. Pure and standard library only."""
