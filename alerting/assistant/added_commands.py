"""The command of this folder: its module and name, and its line in the help."""

COMMANDS = {"mcp": ("alerting.assistant.stdio:mcp", "Connect an assistant with the platform")}
