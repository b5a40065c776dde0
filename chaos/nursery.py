"""What a process has to have done before children are forked from it, so that they start at once (`chaos.lab`)."""

from temporalio.worker._worker import load_default_build_id

import chaos.crash_points  # noqa: F401 - imported here, so that children need not

# Unless it is told its version, a worker hashes all of its code when it starts, which takes more than a second. The
# result is remembered.
load_default_build_id()
