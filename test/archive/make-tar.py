# Packs everything in a folder with Python's tarfile, onto standard output. import-layer.test.ts runs it.
# Usage: make-tar.py ustar|gnu|pax FOLDER

import sys
import tarfile

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}

with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=FORMATS[sys.argv[1]]) as tar:
    tar.add(sys.argv[2], arcname=".")
