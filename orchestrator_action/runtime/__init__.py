"""git, worktrees, processes, sockets and files: the parts that touch the machine."""
