"""What each actor does: requester, data owner, storage node, executor; and all of them in one process."""
