"""Languages and their test tools: detection, what they print, what configures them. One file each."""
