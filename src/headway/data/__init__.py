"""The Data stage: sources to snapshots, snapshots to a frozen dataset."""
