"""A preload that starts a thread, which a fork would lose."""

import threading

threading.Thread(target=threading.Event().wait, daemon=True).start()
