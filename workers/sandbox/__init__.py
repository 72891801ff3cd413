"""How does code that touches a customer's bytes run without reaching anything else? See docs/sandbox.md."""
