"""The paths on which a workspace serves models, one file each: where requests go, in what words, what comes back."""
