"""The prediction log: every answer is in it before the client has it, and is found again by its id alone.

``writer`` appends, ``reader`` finds and walks, ``columns`` turns answers into an Arrow table, ``idempotency`` says
whether a request was answered before. The bytes are the secret of ``segment``.
"""
