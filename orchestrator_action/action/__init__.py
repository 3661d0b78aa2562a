"""The GitHub Action: a step reads its inputs, a mode calls what the command line calls too."""
