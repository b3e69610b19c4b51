"""Where a photo is damaged: found by a small network, without any mask."""
