"""The hands a bridge can drive."""
