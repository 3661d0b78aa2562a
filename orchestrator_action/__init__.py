"""Label issues; get pull requests whose claims have been verified.

A claim is what the agent says, a fact is what we measured, and only facts decide.
"""

__version__ = "0.2.0"
