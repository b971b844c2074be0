"""Many threads at one organization's files: `python -m core.tests.race STORAGE_ROOT`, DATABASE_URL in the environment.

Prints what remained as JSON. A program of its own, because Django's tests keep SQLite in memory, where threads wait for
each other differently than in a file.
"""

import hashlib
import json
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connections

THREADS, ROUNDS, LIMIT = 12, 15, 40_000


def main() -> None:
    settings.STORMCLOUD_STORAGE_ROOT = sys.argv[1]
    django.setup()
    from accounts.models import User
    from core import files
    from core.models import Quota, StoredFile
    from core.storage import get_storage
    from core.storage.base import QuotaExceeded, StorageError

    call_command("migrate", verbosity=0)
    ada = User.objects.create_user("ada", "ada@example.org", "x")
    Quota.objects.create(organization_id=ada.organization_id, limit_bytes=LIMIT)
    refused, unexpected = [], []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(ROUNDS):
            path = f"dir{chance.randrange(2)}/{chance.randrange(8)}"
            other = f"dir{chance.randrange(2)}/{chance.randrange(8)}"
            content = chance.randbytes(chance.randrange(8000))
            try:
                match chance.randrange(8):
                    case 0:
                        files.delete(ada, path)
                    case 1:
                        files.move(ada, path, other, overwrite=True)
                    case 2:
                        files.copy(ada, path, other, overwrite=True)
                    case 3:
                        files.remove_directory(ada, path.partition("/")[0])
                    case _:
                        files.save(ada, path, [content[:4000], content[4000:]])
            except QuotaExceeded:
                refused.append(path)
            except StorageError:
                pass  # somebody else was faster
            except Exception as error:
                unexpected.append(repr(error))
        connections.close_all()

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(work, range(THREADS)))

    on_disk = {}
    storage = get_storage()
    for key in storage.walk():
        reader = storage.read(key)
        content = b"".join(reader)
        reader.close()
        on_disk[key.split("/", 2)[2]] = [len(content), hashlib.sha256(content).hexdigest()]
    result = {
        "limit": LIMIT,
        "used": Quota.objects.get().used_bytes,
        "disk": on_disk,
        "index": {file.path: [file.size, file.checksum] for file in StoredFile.objects.all()},
        "refused": len(refused),
        "unexpected": unexpected,
        "leftovers": [path.name for path in (Path(sys.argv[1]) / ".stormcloud-tmp").iterdir()],
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
