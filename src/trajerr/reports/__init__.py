"""Pictures, tables and pages of what other rooms have computed."""
