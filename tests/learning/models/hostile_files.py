"""Model files as an attacker would write them: each must be refused in words, and cost no more than
its size."""

import io
import json
import re
import zipfile
from collections.abc import Iterator

import numpy as np

META = "model.json"
SKLEARN = "model.skops"
FOREST = "forest.npy"
BOOSTERS = ("model-0.txt", "model-1.txt", "model-2.txt")
BOMB_MIB = 1500


def made_from(files) -> Iterator[tuple[str, dict[str, bytes]]]:
    for way, data in metas(json.loads(files[META])):
        yield f"{META}: {way}", files | {META: data}
    for name in (booster for booster in BOOSTERS if booster in files):
        for way, data in boosters(files[name].decode()):
            yield f"{name}: {way}", files | {name: data.encode()}
    if SKLEARN in files:
        for way, data in archives(files[SKLEARN]):
            yield f"{SKLEARN}: {way}", files | {SKLEARN: data}
    if FOREST in files:
        for way, data in forests(files[FOREST]):
            yield f"{FOREST}: {way}", files | {FOREST: data}


def metas(meta) -> Iterator[tuple[str, bytes]]:
    """Yield descriptions of a model that are no JSON, or in which one field has another value."""
    yield from _no_descriptions()
    (member,) = meta["members"]
    for way, forged in (
        *_forged("", meta, FIELDS | _more_members(meta)),
        *(
            (way, meta | {"members": [one]})
            for way, one in (*_forged("", member, _of_a_member(member)), *_dense(member))
        ),
        *(
            (way, meta | {"plan": plan})
            for way, plan in _forged("plan.", meta["plan"], _of_a_plan(meta["plan"]))
        ),
    ):
        yield way, json.dumps(forged).encode()


def _forged(prefix, document, changes) -> Iterator[tuple[str, dict]]:
    """Yield a document with each of these values of each of its fields."""
    for name, values in changes.items():
        for value in values:
            yield f"{prefix}{name} = {str(value)[:30]}", document | {name: value}


def _no_descriptions() -> Iterator[tuple[str, bytes]]:
    for rubbish in (
        "[]",
        "null",
        "{}",
        '"text"',
        "1e400",
        "{" * 100_000,
        "[" * 100_000,
        "\x00",
        "9" * 100_000,
        '{"format": 4}',
    ):
        yield rubbish[:20], rubbish.encode()
    yield "no UTF-8", b"\xff\xfe{}"


FIELDS = {
    "horizon_ms": [1e30, 10**30, -1, "30m", None, float("nan")],
    "gap_ms": [1e30, 10**18],
    "threshold": [float("nan"), float("inf"), "high", None, []],
    "training_cutoff": [
        "yesterday",
        "9999-12-31T23:59:59+00:00",
        "2026-01-01T00:00:00",
        5,
        None,
    ],
    "as_of": ["0001-01-01T00:00:00+00:00", None],
    "calibration": [
        [],
        {},
        {"slope": float("inf"), "intercept": 0.0},
        {"slope": 1.0, "intercept": 0.0, "more": 1},
    ],
    "plan": [[], {}, None],
    "weights": [[], [0.5], [1.0, 1.0], [float("nan")], None],
    "family": ["blend", "lightgbm"],
    "format": [1, 3, 5, "4", None],
    "usual": [[], {"no such column": 1.0}],
    "ranges": [{"no such column": [0.0, 1.0]}, {"x": [0.0]}],
    "hash": ["", "0" * 64, None],
    "more": [1],
}


def _more_members(meta) -> dict[str, list]:
    return {"members": [[], None, meta["members"] * 2, meta["members"] * 1000]}


def _of_a_member(member) -> dict[str, list]:
    return {
        "family": ["blend", "pickle", "os", "../lightgbm", None, []],
        "files": [
            [],
            [META],
            ["../model.json"],
            ["none.txt"],
            member["files"] * 2,
            member["files"] * 1000,
            "model-0.txt",
            None,
        ],
        "pairs": [[[0, 10**9]], [[0]], [[-1, 0]], [[0, 1]] * 100_000, None],
        "boosters": [3],
    }


def _of_a_plan(plan) -> dict[str, list]:
    return {
        "windows_ms": [[], [10**30], list(range(1, 200_000)), [60_000, 60_000], [-5]],
        "lags_ms": [list(range(100_000))],
        "stride_ms": [0, -1, 10**30],
        "aggregations": [["mean"] * 100_000, ["no_such"], [["mean"]]],
        "numbers": [
            plan["numbers"] * 100_000,
            [{"name": "x"}],
            [{"name": "x", "sampling_ms": 1, "more": 1}],
        ],
        "categories": [[{"name": "x", "levels": ["a"] * 1_000_000}]],
        "delay_ms": [10**30],
    }


def _dense(member) -> Iterator[tuple[str, dict]]:
    """Yield the member without its dense encoding, or with a wrong one."""
    dense = member["dense"]
    fields = ("numbers", "medians", "flagged", "categories", "mean", "scale")
    if dense is None:
        yield "dense", member | {"dense": {field: [] for field in fields}}
        return
    forged = {
        "numbers": [10**6],
        "medians": [],
        "flagged": [-1],
        "scale": [0.0] * max(len(dense["scale"]), 1),
        "mean": [0.0],
        "categories": [[0, 10**9]],
    }
    for name, value in forged.items():
        yield f"dense.{name}", member | {"dense": dense | {name: value}}
    yield "dense", member | {"dense": None}


def boosters(text: str) -> Iterator[tuple[str, str]]:
    """Texts whose first tree with two nodes or more leads LightGBM astray."""

    def first(name: str, change) -> str:
        found = re.search(rf"^{name}=(\S+ \S+.*)$", text, re.MULTILINE) or re.search(
            rf"^{name}=(\S+)$", text, re.MULTILINE
        )
        line = f"{name}={' '.join(change(found[1].split(' ')))}"
        return resized(text[: found.start()] + line + text[found.end() :])

    yield "a child outside of its tree", first("left_child", lambda v: ["999999", *v[1:]])
    yield "a leaf outside of its tree", first("left_child", lambda v: ["-999999", *v[1:]])
    yield "children in a circle", first("left_child", lambda v: ["0", *v[1:]])
    yield "children in a circle of two", first("right_child", lambda v: [*v[:-1], "0"])
    left = re.search(r"^left_child=(\S+ \S+|\S+)", text, re.MULTILINE)[1].split(" ")[0]
    yield "two parents of one child", first("right_child", lambda v: [left] * len(v))
    yield "a feature that there is not", first("split_feature", lambda v: ["1000000", *v[1:]])
    yield "a negative feature", first("split_feature", lambda v: ["-1", *v[1:]])
    yield "fewer children than nodes", first("left_child", lambda v: v[:-1])
    yield "fewer limits than nodes", first("threshold", lambda v: v[:-1])
    yield "a limit that is no number", first("threshold", lambda v: ["nan", *v[1:]])
    yield "a leaf that is no number", first("leaf_value", lambda v: ["inf", *v[1:]])
    yield "words for numbers", first("leaf_value", lambda v: ["x", *v[1:]])
    yield "a node that decides by a category", first("decision_type", lambda v: ["1", *v[1:]])
    for count in ("0", "1", "2000000000", "-5", "99999999999999999999"):
        yield (
            f"num_leaves={count}",
            resized(
                re.sub(
                    r"^num_leaves=\d+$", f"num_leaves={count}", text, count=1, flags=re.MULTILINE
                )
            ),
        )
    yield "num_cat=5", resized(text.replace("num_cat=0", "num_cat=5", 1))
    yield (
        "max_feature_idx=2000000000",
        re.sub(r"max_feature_idx=\d+", "max_feature_idx=2000000000", text),
    )
    yield "num_class=1000000000", text.replace("num_class=1\n", "num_class=1000000000\n", 1)
    yield (
        "num_tree_per_iteration=0",
        text.replace("num_tree_per_iteration=1", "num_tree_per_iteration=0", 1),
    )
    yield "tree sizes that lie", re.sub(r"tree_sizes=\d+", "tree_sizes=2000000000", text)
    yield "tree sizes below nothing", re.sub(r"tree_sizes=\d+", "tree_sizes=-2000000000", text)
    yield (
        "another objective",
        text.replace("objective=binary sigmoid:1", "objective=multiclass num_class:3", 1),
    )
    yield "linear trees", text.replace("is_linear=0", "is_linear=1", 1)
    yield "no trees", text.partition("Tree=0")[0]
    yield "not a model", "tree\n" * 1000


def resized(text: str) -> str:
    """With sizes of trees that fit again, as a careful attacker would write them."""
    head, _, trees = text.partition("\n\n")
    blocks = re.split(r"(?=^Tree=\d+$)", trees.partition("end of trees")[0], flags=re.MULTILINE)[1:]
    sizes = " ".join(str(len(block)) for block in blocks)
    return re.sub(r"tree_sizes=.*", f"tree_sizes={sizes}", head) + "\n\n" + trees


def forests(data: bytes) -> Iterator[tuple[str, bytes]]:
    nodes = np.load(io.BytesIO(data))
    for way, forged in forged_nodes(nodes):
        yield way, _saved(forged)
    header = data[: len(data) - nodes.nbytes]
    yield "fewer nodes than stated", data[: -nodes.itemsize]
    yield "more nodes than stated", data + data[-nodes.itemsize :]
    yield "a shape that lies", _npy_header((1 << 40,)) + b"\0" * 64
    yield "objects", _objects()
    yield "other numbers", _saved(np.zeros(8))
    yield "other fields", _saved(nodes[["tree", "left_child"]].copy())
    yield "two dimensions", _saved(nodes[None])
    yield "no dimension", _saved(nodes[0])
    yield "an open text in its header", b"\x93NUMPY\x01\x00\x0a\x00" + b"((((('''\n\n"
    yield "a deep header", b"\x93NUMPY\x01\x00\x00\x20" + b"(" * 0x2000
    yield "another version", data[:6] + b"\x09" + data[7:]
    yield "a header alone", header
    yield "not an array", b"PK\x03\x04" + data


def forged_nodes(nodes) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the nodes of a forest with one wrong number each, most in the root of the largest
    tree, and other lengths."""
    sizes = np.bincount(nodes["tree"])
    root = int(sizes[: sizes.argmax()].sum())
    count = int(sizes.max())
    for way, field, value in (
        ("a child outside of its tree", "left_child", count),
        ("a child far outside", "right_child", 2**31 - 1),
        ("a child before its tree", "left_child", -2),
        ("a child on one side", "left_child", -1),
        ("a child on the other side", "right_child", -1),
        ("a node below itself", "left_child", 0),
        ("two parents of one child", "right_child", 1),
        ("a feature that there is not", "feature", 10**6),
        ("a negative feature", "feature", -2),
        ("a limit that is no number", "threshold", np.nan),
        ("shares that are no numbers", "value", np.nan),
        ("infinite shares", "value", np.inf),
        ("an infinite impurity", "impurity", np.inf),
        ("a weight that is no number", "weighted_n_node_samples", np.nan),
        ("a tree of another number", "tree", -1),
        ("a tree far away", "tree", 2**31 - 1),
    ):
        forged = nodes.copy()
        forged[field][root] = value
        yield way, forged
    circle = nodes.copy()
    below = root + np.flatnonzero(nodes["left_child"][root : root + count] > 0)[-1]
    circle["left_child"][below] = 0
    yield "children in a circle", circle
    apart = nodes.copy()
    side = (
        "left_child" if (nodes["left_child"][root:below] == below - root).any() else "right_child"
    )
    above = root + np.flatnonzero(nodes[side][root:below] == below - root)[0]
    apart[side][above] = nodes["left_child"][below]
    apart["left_child"][below] = below - root
    yield "a node that is its own parent, beside its tree", apart
    for way, numbers in (
        ("no first tree", nodes["tree"] + 1),
        ("a tree before the first", nodes["tree"] - 1),
        ("a number of a tree left out", nodes["tree"] + (nodes["tree"] > 0)),
    ):
        renumbered = nodes.copy()
        renumbered["tree"] = numbers
        yield way, renumbered
    alone = nodes[nodes["tree"] == 0].copy()
    alone["tree"] = -1
    yield "one tree, before the first", alone
    yield "no trees", nodes[:0]
    yield "its last node lost", nodes[:-1]
    leaf = nodes[nodes["left_child"] == -1][:1]
    many = np.repeat(leaf, 10_001)
    many["tree"] = np.arange(len(many))
    yield "too many trees", many


def archives(data: bytes) -> Iterator[tuple[str, bytes]]:
    members = _members(data)
    name = next(n for n in members if n.endswith(".npy"))
    largest = max((n for n in members if n.endswith(".npy")), key=lambda n: len(members[n]))
    yield "compressed", _archive(members, zipfile.ZIP_DEFLATED)
    yield "a bomb", bomb(members, largest)
    yield "a shape that lies", _archive(members | {name: _npy_header((1 << 40,)) + b"\0" * 64})
    yield "an array of objects", _archive(members | {name: _objects()})
    yield "no schema", _archive({n: d for n, d in members.items() if n != "schema.json"})
    yield "a deep schema", _archive(members | {"schema.json": b'{"content": ' * 50_000})
    yield "another schema", _archive(members | {"schema.json": b"[]"})
    yield "a member that is no array", _archive(members | {"code.py": b"print()"})
    yield "an array less", _archive({n: d for n, d in members.items() if n != name})
    yield (
        "every array empty",
        _archive({n: d if n == "schema.json" else _saved(np.empty(0)) for n, d in members.items()}),
    )


def bomb(members, name) -> bytes:
    """A file of 7 MB that unpacks to 1.5 GB."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for other, content in members.items():
            if other != name:
                archive.writestr(other, content)
        with archive.open(name, "w", force_zip64=True) as member:
            member.write(_npy_header((BOMB_MIB << 17,)))
            zeros = b"\0" * (1 << 20)
            for _ in range(BOMB_MIB):
                member.write(zeros)
    return target.getvalue()


def _members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def _archive(members, compression=zipfile.ZIP_STORED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target.getvalue()


def _npy_header(shape) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


def _saved(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _objects() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    return file.getvalue()
