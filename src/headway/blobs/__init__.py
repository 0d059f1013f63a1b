"""Content-addressed bytes: put them in, get their digest; whoever has the digest gets the very same bytes back."""

from __future__ import annotations

from headway.blobs.blobs import Blob, Blobs, BlobsChecked, Redaction
from headway.blobs.digest import Digest, checked_digest, digest_of, is_digest
from headway.blobs.folder import FolderBlobs

__all__ = [
    "Blob",
    "Blobs",
    "BlobsChecked",
    "Digest",
    "FolderBlobs",
    "Redaction",
    "checked_digest",
    "digest_of",
    "is_digest",
]
