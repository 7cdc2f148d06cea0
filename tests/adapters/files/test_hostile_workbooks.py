"""Workbooks and archives that are made to fill memory, or that cannot be read: refused with what to
do, in bounded memory."""

import re
import struct
import subprocess
import time
import zipfile
from pathlib import Path

import openpyxl
import psutil
import pytest

from alerting.adapters.files import packed
from alerting.adapters.files.find_form import find_form
from alerting.definitions.faults import UserError
from alerting.definitions.file_form import FileForm

MOST = 300 << 20
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
SHEET = "xl/worksheets/sheet1.xml"
STRINGS = "xl/sharedStrings.xml"
PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="xml" '
    f'ContentType="application/xml"/><Override PartName="/xl/workbook.xml" '
    f'ContentType="{TYPE}.sheet.main+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="r" '
    f'Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="S" '
    'sheetId="1" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="r1" Type="{OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="r2" Type="{OFFICE}/sharedStrings" Target="sharedStrings.xml"/>'
    "</Relationships>",
}
ROW = '<row r="1"><c r="A1" t="inlineStr"><is><t>ts</t></is></c></row>'


def sheet(rows, head="", dimension=""):
    return (
        f'<?xml version="1.0"?>{head}<worksheet xmlns="{MAIN}">{dimension}'
        f"<sheetData>{rows}</sheetData></worksheet>"
    )


def write(path, files, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as made:
        for name, content in files.items():
            made.writestr(name, content)


def one_cell_in_the_corner(path):
    far = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    write(path, PARTS | {SHEET: sheet(ROW + far, dimension='<dimension ref="A1:XFD1048576"/>')})


def many_rows_of_one_far_cell(path):
    rows = "".join(f'<row r="{n}"><c r="NTP{n}"><v>1</v></c></row>' for n in range(1, 60_000))
    write(path, PARTS | {SHEET: sheet(ROW + rows)})


def entities(path):
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    cells = '<row r="1"><c r="A1" t="inlineStr"><is><t>&l11;</t></is></c></row>'
    head = f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]>'
    write(path, PARTS | {SHEET: sheet(cells, head)})


def a_bomb(path):
    write(path, PARTS | {SHEET: sheet(ROW + " " * (200 << 20))})


def a_bomb_of_one_table(path):
    write(path, {"a.csv": b"ts,t\n" + b" " * (64 << 20)})


def sizes_that_lie(path):
    """Write an archive whose directory says that its table has 100 bytes."""
    write(path, {"a.csv": b"ts,t\n" + b"2026-03-02,1\n" * (1 << 20)})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", content, content.rfind(mark) + offset, 100)
    path.write_bytes(content)


def a_sheet_whose_size_lies(path):
    write(path, PARTS | {SHEET: sheet(ROW + "<row/>" * (20 << 20))})
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", content, content.rfind(mark) + offset, 1000)
    path.write_bytes(content)


def endless_shared_strings(path):
    block = "".join(f"<si><t>{n * 7919 % 100_003}</t></si>" for n in range(1_000))
    strings = f'<sst xmlns="{MAIN}">{block * 6_000}</sst>'
    write(path, PARTS | {SHEET: sheet(ROW), STRINGS: strings})


def cut_off(path):
    write(path, PARTS | {SHEET: sheet(ROW * 100)})
    path.write_bytes(path.read_bytes()[:-200])


def no_workbook(path):
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00\xff" * 4_000)


def never_computed(path):
    made = openpyxl.Workbook()
    made.active.append(["ts", "t", "double"])
    for row in range(2, 9):
        made.active.append([f"2026-03-0{row}", row, f"=B{row}*2"])
    made.save(path)


def computed_when_it_is_opened(path):
    """Write the zeros that other libraries put for the values of formulas."""
    never_computed(path)
    with zipfile.ZipFile(path) as made:
        files = {name: made.read(name) for name in made.namelist()}
    files[SHEET] = re.sub(rb"</f><v ?/>|</f><v></v>", b"</f><v>0</v>", files[SHEET])
    write(path, files)


def a_web_page(path):
    path.write_text("<html><body><table><tr><td>ts</td><td>t</td></tr>")


def an_archive_of_a_later_version(path):
    write(path, {"a.csv": b"ts,t\n2026-03-02,1\n"})
    content = bytearray(path.read_bytes())
    content[content.rfind(b"PK\x01\x02") + 6] = 99
    path.write_bytes(content)


def an_archive_in_an_archive(path):
    write(path.with_name("inner.zip"), {"a.csv": b"ts,t\n2026-03-02,1\n"})
    write(path, {"inner.zip": path.with_name("inner.zip").read_bytes()})


def with_a_password(path):
    """Write the compound file into which Excel encrypts a workbook: its directory is enough."""

    def entry(name, kind, child, right=-1, size=0):
        text = name.encode("utf-16-le")
        return struct.pack(
            "<64sHBBiii16sIQQiQ",
            *(
                text,
                len(text) + 2,
                kind,
                1,
                -1,
                right,
                child,
                b"",
                0,
                0,
                0,
                -2 if not size else 0,
                size,
            ),
        )

    header = (
        struct.pack(
            "<8s16sHHHHH6xIIiIIiIiI",
            *(
                b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
                b"",
                0x3E,
                3,
                0xFFFE,
                9,
                6,
                0,
                1,
                1,
                0,
                4096,
                -2,
                0,
                -2,
                0,
            ),
        )
        + struct.pack("<i", 0)
        + b"\xff" * 432
    )
    fat = struct.pack("<ii", -3, -2) + b"\xff" * 504
    folder = (
        entry("Root Entry", 5, 1)
        + entry("EncryptionInfo", 2, -1, 2)
        + entry("EncryptedPackage", 2, -1)
    )
    path.write_bytes(header + fat + folder + bytes(128))


HOSTILE = {
    one_cell_in_the_corner: "more than 300 MB of memory.* delete cells far",
    many_rows_of_one_far_cell: "more than 300 MB of memory.* delete cells far",
    entities: "may be damaged .*unrecognized entity",
    a_bomb: r"grows to 209,716,\d+ when .* at most 200 times as many .* as CSV",
    a_bomb_of_one_table: "at most 200 times as many",
    sizes_that_lie: "cannot be unpacked, it may be damaged",
    a_sheet_whose_size_lies: "may be damaged .*larger than its declared",
    endless_shared_strings: "more than 300 MB of memory",
    cut_off: "cannot be unpacked, it may be damaged",
    no_workbook: "cannot be read as a workbook, it may be damaged",
    never_computed: "formulas that were never computed; open it in a spreadsheet program, save it",
    computed_when_it_is_opened: "formulas that were never computed",
    a_web_page: r"is a web page or XML, .* save it as \.xlsx",
    an_archive_of_a_later_version: "cannot be unpacked, .*zip file version 9.9",
    an_archive_in_an_archive: "an archive within an archive",
    with_a_password: "protected by a password; save it without one",
}


def peak_of(process):
    """Return the most memory (bytes) that a process had; 0 of one that has ended."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+)", status)
    return int(found[1]) << 10 if found else 0


@pytest.fixture
def measured(monkeypatch):
    """The most memory (bytes) of each process that reads a workbook."""
    most = []

    def run(command, *, stdin, capture_output, check, pass_fds):
        assert (capture_output, check) == (True, False)
        with subprocess.Popen(
            command, stdin=stdin, stdout=-1, stderr=subprocess.DEVNULL, pass_fds=pass_fds
        ) as reader:
            while reader.poll() is None:
                most.append(peak_of(reader.pid))
                time.sleep(0.002)
            return subprocess.CompletedProcess(command, reader.returncode, reader.stdout.read())

    monkeypatch.setattr(packed.subprocess, "run", run)
    return most


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__)
def test_a_hostile_file_is_refused_in_bounded_memory(tmp_path, measured, make):
    path = tmp_path / "labor.xlsx"
    make(path)
    Path("/proc/self/clear_refs").write_text("5")  # begins the measure of the peak anew
    before = psutil.Process().memory_info().rss
    with pytest.raises(UserError, match=HOSTILE[make]) as refusal:
        find_form(path, FileForm(asset="o"), units={})
    assert peak_of("self") - before + max(measured, default=0) < MOST
    assert str(path) in refusal.value.message
