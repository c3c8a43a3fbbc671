#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""Holds configuration files against the checker and the JSON Schema.

Every example and every file in tests/config/accepted must pass both; every
file in tests/config/rejected must fail the checker, with exactly the lines of
its .expected file, and fail the schema too: all but those that
tests/config/beyond-schema.txt lists, which must pass it.  Every key of the
schema must be in the man page.  Needs $NZCTL; $srcdir is the source tree.
"""
import json
import os
import pathlib
import subprocess
import sys

try:
    import jsonschema
except ImportError:
    print("skip: no jsonschema for Python")
    sys.exit(77)

TOP = pathlib.Path(os.environ.get("srcdir", ".")).resolve()
CONFIG = TOP / "tests" / "config"
NZCTL = str(pathlib.Path(os.environ.get("NZCTL", "nzctl")).resolve())
EXAMPLES = ["nearzone.json.example"]
failures = 0


def report(good, what):
    """Prints one line of the result, and keeps count."""
    global failures
    print(f"{'ok' if good else 'FAIL'}: {what}")
    failures += not good


def nzctl(*args, directory=TOP):
    """Runs nzctl; returns its exit status and its lines of either kind."""
    done = subprocess.run([NZCTL, *args], cwd=directory, timeout=60,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def refuse(word):
    """NaN and its like are no JSON, whatever Python thinks."""
    raise ValueError(f"{word} is not JSON")


def schema_passes(validator, path):
    """True if the file is JSON and as the schema wants it."""
    try:
        document = json.loads(path.read_bytes().decode("utf-8"),
                              parse_constant=refuse)
    except ValueError:
        return False
    return validator.is_valid(document)


def keys(schema):
    """Yields the names of all keys of all blocks."""
    if isinstance(schema, list):
        for one in schema:
            yield from keys(one)
    if not isinstance(schema, dict):
        return
    yield from schema.get("properties", {})
    for name, inner in schema.items():
        if name == "properties":
            yield from keys(list(inner.values()))
        else:
            yield from keys(inner)


def main():
    status, text, complaint = nzctl("schema")
    if status != 0:
        print(f"FAIL: nzctl schema: {complaint}")
        return 1
    schema = json.loads(text)
    kind = jsonschema.Draft202012Validator
    kind.check_schema(schema)
    validator = kind(schema, format_checker=jsonschema.FormatChecker())

    accepted = [TOP / name for name in EXAMPLES]
    accepted += sorted((CONFIG / "accepted").glob("*.json"))
    for path in accepted:
        status, _, complaint = nzctl("check", path.name,
                                     directory=path.parent)
        report(status == 0, f"{path.name}: checker {complaint}".rstrip())
        report(schema_passes(validator, path), f"{path.name}: schema")

    listed = (CONFIG / "beyond-schema.txt").read_text().split("\n")
    beyond = {name for name in listed if name and not name.startswith("#")}
    for path in sorted((CONFIG / "rejected").glob("*.json")):
        status, _, complaint = nzctl("check", path.name,
                                     directory=path.parent)
        wanted = path.with_suffix(".expected").read_text(encoding="utf-8")
        report(status != 0 and complaint == wanted,
               f"{path.name}: checker's findings")
        if complaint != wanted:
            print(f"--- wanted\n{wanted}--- got\n{complaint}---")
        passes = schema_passes(validator, path)
        report(passes == (path.name in beyond), f"{path.name}: schema "
               f"{'passes' if passes else 'fails'}")
        beyond.discard(path.name)
    report(not beyond, f"beyond-schema.txt names files {sorted(beyond)}")

    page = (TOP / "man" / "nearzone.json.5").read_text(encoding="utf-8")
    page = page.replace("\\-", "-")
    missing = [key for key in sorted(set(keys(schema)))
               if f"\n.It Cm {key}" not in page]
    report(not missing, f"keys not in the man page: {missing}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
