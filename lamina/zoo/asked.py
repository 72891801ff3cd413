"""Which kinds are the networks of the zoo asked? Those that look at a network; comparing earlier ones looks at none."""

from workers.analyses import KINDS as EVERY_KIND

KINDS = {name: kind for name, kind in EVERY_KIND.items() if not kind.analysis_roles}
