"""What serving looks up: the steps of every timeline, filled from the definitions, read without locks.

``fill`` writes them as blobs and a manifest, ``store`` reads them back, ``steps`` finds one value as of a moment.
Mechanism: it knows keys, moments and columns, no learning.
"""
