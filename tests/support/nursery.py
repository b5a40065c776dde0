"""What every worker and every API imports, imported once: processes of the tests are forked from there."""

import sys
from importlib import import_module

for name in ("worker", "api.app", "twilio.rest.api.v2010"):
    import_module(name)
# Its application was made with this process's settings: each API makes its own.
del sys.modules["api.app"]
