"""Lets an assistant ask, over the Model Context Protocol, what the pages show, and change what the
person of its token may change.

Nothing outside of this folder names it; see `alerting.optional_folders`.
"""
