#!/usr/bin/env python3
"""The demo's data through mlv and its peers: what each keeps, stores and notices.

usage: benches/peers.py [TOOL...]      mlv, dvc, git-lfs, git-annex; default: those in PATH

Each tool tracks the folders `data` (small files) and `features` (one file over 16 MiB), shares
them through a folder on this machine, takes a second version, and brings it to a fresh clone.
Counts and bytes are exact, so one run is enough. Prints a Markdown table.
"""
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

DEMO = Path(__file__).resolve().parent.parent / "fixtures" / "demo"
MIB = 1024 * 1024


class Failed(Exception):
    pass


class Tool:
    command = ""

    def __init__(self, root):
        self.project, self.remote = root / "project", root / "remote"
        home = root / "home"
        home.mkdir()
        self.env = dict(os.environ, HOME=str(home), GIT_CONFIG_NOSYSTEM="1", PYTHONDONTWRITEBYTECODE="1")
        for who in ("AUTHOR", "COMMITTER"):
            self.env["GIT_%s_NAME" % who] = "bench"
            self.env["GIT_%s_EMAIL" % who] = "bench@localhost"
        self.sh("git config --global init.defaultBranch main", root)

    def sh(self, line, folder=None):
        done = subprocess.run(["sh", "-ec", line], cwd=folder or self.project, env=self.env,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise Failed("%s: exit %d\n%s" % (line, done.returncode, done.stdout.decode(errors="replace")[:500]))

    def clone(self, to):
        self.sh("git clone -q %s %s" % (self.project, to))


class Mlv(Tool):
    name, command = "mlv", "mlv"
    init = "mlv init && mlv remote add -d storage ../remote && git add ."
    add = "mlv add data features && git add . && git commit -qm data"
    push = "mlv push"
    pull = "mlv pull"


class Dvc(Tool):
    name, command = "DVC", "dvc"
    init = "dvc init -q && dvc config core.analytics false && dvc remote add -q -d storage ../remote"
    add = "dvc add -q data features && git add . && git commit -qm data"
    push = "dvc push -q"
    pull = "dvc pull -q"


class Lfs(Tool):
    name, command = "git-lfs", "git-lfs"
    init = ("git lfs install && git lfs track 'data/**' 'features/**' && git add .gitattributes"
            " && git init -q --bare ../remote && git remote add origin file://$(realpath ../remote)")
    add = "git add . && git commit -qm data"
    push = "git push -q origin HEAD:main"
    pull = "true"

    def clone(self, to):
        self.sh("git clone -q file://%s %s" % (self.remote, to))


class Annex(Tool):
    name, command = "git-annex", "git-annex"
    init = ("git annex init -q && mkdir ../remote && git annex initremote -q storage type=directory"
            " directory=../remote encryption=none")
    add = "git annex add --quiet data features && git add . && git commit -qm data"
    push = "git annex copy --quiet --to storage ."
    # A clone trusts a special remote only after its user confirmed what `verifyremote` shows.
    pull = ("git annex init -q && git annex enableremote -q storage directory=../remote"
            " && safe=$(git annex verifyremote storage 2>&1 | sed -n 's/.*--safe //p')"
            " && { [ -z \"$safe\" ] || git annex verifyremote storage --safe $safe; }"
            " && git annex get --quiet --from storage .")


def contents(folder):
    """Of every file the bytes and the executable bit, of every link its target, and empty folders.

    A link out of the work tree's own files (git-annex) counts as what it leads to.
    """
    found = {}
    for place, folders, files in os.walk(folder):
        relative = os.path.relpath(place, folder)
        if not folders and not files:
            found[relative] = "empty folder"
        for name in files + [name for name in folders if os.path.islink(os.path.join(place, name))]:
            path = os.path.join(place, name)
            key = os.path.normpath(os.path.join(relative, name))
            if os.path.islink(path) and ".git/annex" not in os.readlink(path):
                found[key] = ("link", os.readlink(path))
            else:
                executable = bool(os.stat(path).st_mode & stat.S_IXUSR)
                found[key] = ("file", Path(path).read_bytes(), executable)
    return found


def measure(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    if (folder / "lfs" / "objects").is_dir():
        files = [path for path in files if folder / "lfs" / "objects" in path.parents]
    return len(files), sum(path.stat().st_size for path in files), files


def make(tool, first, last):
    unpack = "python3 %s/download/unpack.py %s/download/digits.csv.gz data %d %d" % (DEMO, DEMO, first, last)
    tool.sh(unpack + " && python3 prepare.py data/train features/train.f64 --moved && rm -rf __pycache__")


def damage(files):
    """Turns one bit in the middle of the largest stored file."""
    path = max(files, key=lambda path: path.stat().st_size)
    os.chmod(path, 0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def pulled(tool, to, root):
    tool.clone(to)
    tool.sh(tool.pull, to)
    return {name: contents(to / name) for name in ("data", "features") if (to / name).exists()}


def run(kind, root):
    tool = kind(root)
    # Both folders are plain data here: without the pipeline, whose stages would own one.
    shutil.copytree(DEMO / "project", tool.project, ignore=shutil.ignore_patterns("mlv.yaml"))
    row = {}
    tool.sh("git init -q && git add . && git commit -qm code && " + tool.init)
    make(tool, 0, 1700)
    kept = {name: contents(tool.project / name) for name in ("data", "features")}
    tool.sh(tool.add)
    tool.sh(tool.push)
    listed = subprocess.run(["git", "ls-files", "data*", "features*"], cwd=tool.project, env=tool.env, stdout=subprocess.PIPE)
    row["files in git for 1,703 files of data"] = "{:,}".format(len(listed.stdout.splitlines()))
    count, size, _ = measure(tool.remote)
    row["files on the remote"] = "{:,}".format(count)
    row["MiB on the remote"] = "%.1f" % (size / MIB)
    back = pulled(tool, root / "first", root)
    for what, path in [("executable bit", "show"), ("symlink", "example.pgm"), ("empty folder", "unlabelled")]:
        row[what + " is back in a clone"] = "yes" if back["data"].get(path) == kept["data"][path] else "no"

    tool.sh("git annex unlock --quiet ." if kind is Annex else "true")
    make(tool, 1700, 1797)
    tool.sh(tool.add)
    tool.sh(tool.push)
    new, total, files = measure(tool.remote)
    row["files added by version 2 (97 images, one large file)"] = "{:,}".format(new - count)
    row["MiB added by version 2"] = "%.1f" % ((total - size) / MIB)

    kept = {name: contents(tool.project / name) for name in ("data", "features")}
    damage(files)
    try:
        back = pulled(tool, root / "second", root)
        wrong = any(entry != kept[name].get(path) for name in back for path, entry in back[name].items()
                    if path not in ("show", "example.pgm"))
        row["one damaged bit on the remote, then pull"] = "wrong bytes, exit 0" if wrong else "right bytes"
    except Failed:
        row["one damaged bit on the remote, then pull"] = "refused"
    return row


def main(wanted):
    rows = {}
    for kind in (Mlv, Dvc, Lfs, Annex):
        if (wanted and kind.command not in wanted) or not shutil.which(kind.command):
            continue
        with tempfile.TemporaryDirectory(prefix="peers-") as root:
            try:
                rows[kind.name] = run(kind, Path(root).resolve())
            finally:
                subprocess.run(["chmod", "-R", "u+w", root], check=False)
    names = list(rows)
    print("| | %s |" % " | ".join(names))
    print("|---|%s|" % "|".join("---" for _ in names))
    for key in rows[names[0]]:
        print("| %s | %s |" % (key, " | ".join(rows[name][key] for name in names)))


if __name__ == "__main__":
    main(sys.argv[1:])
