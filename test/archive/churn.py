# Changes a tree without end, as a hostile container may while it is packed: files shrink, grow, vanish and turn into
# something else, folders become links that lead outside. pack.test.ts runs and ends it.
# Usage: churn.py FOLDER OUTSIDE

import os
import random
import shutil
import sys

folder, outside = map(os.path.realpath, sys.argv[1:])


def path():
    return os.path.join(folder, *random.choices("abcdef", k=random.randint(1, 4)))


def write(name):
    if os.path.lexists(name) and not os.path.isfile(name):
        return  # it would wait for the other end of a fifo
    with open(name, "wb") as file:
        file.truncate(random.choice([0, 5000, 3_000_000]))
        file.write(b"x" * random.choice([0, 1, 600, 100_000]))


def remove(name):
    if os.path.isdir(name) and not os.path.islink(name):
        shutil.rmtree(name)
    else:
        os.unlink(name)


CHANGES = [
    *[write] * 6,
    *[os.makedirs] * 8,
    *[remove] * 5,
    lambda name: os.symlink(outside, name),
    lambda name: os.symlink(os.path.join(outside, "secret"), name),
    os.mkfifo,
    lambda name: os.mknod(name, 0o020666, os.makedev(1, 5)),
    lambda name: os.link(path(), name),
    lambda name: os.rename(path(), name),
    lambda name: os.rename(path(), name),
    lambda name: os.truncate(name, 100),
    lambda name: os.setxattr(name, "trusted.churn", b"x" * random.randint(0, 300), follow_symlinks=False),
    lambda name: os.removexattr(name, "trusted.churn", follow_symlinks=False),
]

while True:
    name = path()
    # Nothing may be written outside through a link of our own.
    if os.path.islink(name):
        os.unlink(name)
    if not os.path.realpath(name).startswith(folder):
        continue
    try:
        random.choice(CHANGES)(name)
    except OSError:
        pass
