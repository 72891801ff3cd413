"""What must evidence show, and does it? Controls as data, policies over them, and a pure assessment."""
