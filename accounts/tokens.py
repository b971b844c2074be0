"""How secrets that this server hands out are made and kept."""

import hashlib
import secrets


def new_secret(random_bytes: int) -> str:
    """`random_bytes` of randomness as URL-safe base64: 48 bytes are 64 characters."""
    return secrets.token_urlsafe(random_bytes)


def fingerprint(secret: str) -> str:
    """SHA-256 in hex: what the database keeps. A slow hash is for what people choose, not for chance."""
    return hashlib.sha256(secret.encode()).hexdigest()
