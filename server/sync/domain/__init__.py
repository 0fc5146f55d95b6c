"""Pure decisions of the syncs: no session, no clock."""
