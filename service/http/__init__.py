"""What can be asked over HTTP? One file per resource; each endpoint is declared once, and OpenAPI follows from it."""
