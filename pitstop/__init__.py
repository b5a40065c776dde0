"""The rooms of Pitstop."""

import zoneinfo

# Zone data of the pinned package `tzdata`, not of whatever host this is: else mails would tell other times on another
# machine, and hosts keep old data for years.
zoneinfo.reset_tzpath(to=())
