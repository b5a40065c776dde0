"""What a process has to have done before children are forked from it, so that they start at once (`chaos.lab`)."""

import chaos.crash_points  # noqa: F401 - imported here, so that children need not
