"""The functions, one small file per trigger: read the event, one call into the steps, return."""
