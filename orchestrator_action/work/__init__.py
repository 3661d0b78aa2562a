"""One task with its agent: prompt, broker, claims, attempts."""
