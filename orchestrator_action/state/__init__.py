"""What all steps share: the context of a run and of a task, the journal and its fold, limits, run folders."""
