"""Edit plans inside XMP packets: put in, found, replaced, taken out, and nothing else touched."""

import json
import re
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_makers import SHARED_FOLDER, save_pillow, smooth
from plan_strategies import plans

from imgedit_plugins.cli import cli
from imgedit_plugins.errors import PictureReadError, PlanError
from imgedit_plugins.picture_files import open_picture, plan_in_file, save_picture, with_plan
from imgedit_plugins.picture_files.plan_in_xmp import (
    NAMESPACE,
    MalformedXmpError,
    embed_plan,
    embedded_plan,
    without_plan,
)
from imgedit_plugins.pictures import Metadata, Picture
from imgedit_plugins.plan import EditPlan, parse_plan, step

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
ALL = ("jpg", "png", "tif", "webp", "avif", "heic", "jxl")
PLAN = EditPlan(operations=(step("bright", offset=50), step("rotate", degrees=90)))
OTHER = EditPlan(operations=(step("flip"),))

# As cameras, Lightroom and darktable write them: several descriptions, attributes, lists, CDATA,
# comments, a wrapper with padding, other prefixes, nothing at all inside.
PACKETS = [
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n<x:xmpmeta xmlns:x="adobe:ns:meta/"'
    f' x:xmptk="Adobe XMP Core 7.0">\n <rdf:RDF xmlns:rdf="{RDF}">\n  <rdf:Description rdf:about=""'
    '\n    xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"\n   crs:Exposure2012="+0.35"\n'
    "   crs:Look='a \"b\" &gt; c'>\n   <crs:ToneCurve>\n    <rdf:Seq><rdf:li>0, 0</rdf:li><rdf:li/>"
    "</rdf:Seq>\n   </crs:ToneCurve>\n  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n"
    + (" " * 99 + "\n") * 20
    + '<?xpacket end="w"?>',
    f'<r:RDF xmlns:r="{RDF}"><r:Description r:about="uuid:1&amp;2" xmlns:d="http://d/" d:a="été"/>'
    '<r:Description r:about="uuid:1&amp;2"><d:x xmlns:d="http://d/"><![CDATA[</r:RDF>]]></d:x>'
    "<!-- </r:RDF> --></r:Description></r:RDF>",
    f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='{RDF}'/></x:xmpmeta>\0\0\0",
    f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='{RDF}' ></rdf:RDF ></x:xmpmeta>",
    f'<?xml version="1.0" encoding="UTF-8"?>\r\n<RDF xmlns="{RDF}"><Description about=""/></RDF>',
]
PACKETS = [packet.encode() for packet in PACKETS]
MALFORMED = [
    b"",
    b"no XML",
    b"<rdf:RDF>",
    b'<x xmlns="adobe:ns:meta/"/>',
    PACKETS[0][:-40] + b"<unclosed>",
    PACKETS[0].decode().encode("utf-16"),
    b'<!DOCTYPE a [<!ENTITY b "c">]>' + PACKETS[1],
    PACKETS[1].replace("é".encode(), b"\xe9"),
]


def descriptions(xmp):
    """The packet as another parser sees it, without our plan."""
    text = xmp.rstrip(b"\0").decode()
    text = re.sub(r"<\?xpacket.*?\?>", "", text).strip()
    root = ElementTree.fromstring(text.encode())
    holder = root if root.tag == f"{{{RDF}}}RDF" else root.find(f"{{{RDF}}}RDF")
    return [ElementTree.tostring(part) for part in holder]


# --- packets ----------------------------------------------------------------------------------


@pytest.mark.parametrize("packet", PACKETS)
@given(plan=plans())
@settings(max_examples=15, deadline=None)
def test_the_rest_stays_byte_for_byte(packet, plan):
    text = plan.to_json()
    with_it = embed_plan(packet, text)
    assert embedded_plan(with_it) == text
    at = next(i for i in range(len(packet) + 1) if with_it[i : i + 1] != packet[i : i + 1])
    tail = 0
    while packet[len(packet) - 1 - tail] == with_it[len(with_it) - 1 - tail]:
        tail += 1
    assert at + tail >= len(packet) - 2  # all there, but for the '/>' of an empty element
    before, after = descriptions(packet), descriptions(with_it)
    assert after[:-1] == before
    assert NAMESPACE.encode() in after[-1]


@pytest.mark.parametrize("packet", [*PACKETS[:2], *PACKETS[3:]])
def test_taken_out_again_nothing_is_left(packet):
    assert without_plan(packet) == packet
    assert embedded_plan(packet) is None
    once = embed_plan(packet, "{}")
    assert without_plan(once) == packet
    assert embed_plan(once, "[1]") == embed_plan(packet, "[1]")


def test_a_new_packet():
    made = embed_plan(None, PLAN.to_json())
    assert made.startswith(b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>')
    assert made.endswith(b'<?xpacket end="w"?>')
    assert len(descriptions(made)) == 1
    assert parse_plan(embedded_plan(made)) == PLAN
    assert embedded_plan(None) is None


@given(text=st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1))
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back(text):
    held = (
        json.dumps({"explanation": text}, ensure_ascii=False)
        .replace("\ufffe", "")
        .replace("\uffff", "")
    )  # XML has no such characters
    assert embedded_plan(embed_plan(PACKETS[0], held)) == held


def test_line_ends_come_back():
    assert embedded_plan(embed_plan(None, "{\r\n\t}\r")) == "{\r\n\t}\r"


def test_one_subject_for_all_descriptions():
    found = re.findall(rb'about="([^"]*)"', embed_plan(PACKETS[1], "{}"))
    assert found == [b"uuid:1&amp;2"] * 3


@pytest.mark.parametrize("xmp", MALFORMED)
def test_malformed_packets_are_refused(xmp):
    if not xmp:
        assert embedded_plan(xmp) is None
        return
    with pytest.raises(MalformedXmpError):
        embed_plan(xmp, "{}")


# Other programs write a packet anew in their own way: our property may stand in their description.
REWRITTEN = [
    f'<rdf:RDF xmlns:rdf="{RDF}" xmlns:q="{NAMESPACE}" xmlns:o="http://o/">'
    '<rdf:Description rdf:about="" o:Plan="theirs" q:Plan="{&quot;a&quot;:&gt;}" o:b=""/>'
    "</rdf:RDF>",
    f'<rdf:RDF xmlns:rdf="{RDF}" xmlns:q="{NAMESPACE}" xmlns:o="http://o/">'
    '<rdf:Description rdf:about="" o:b=""><o:Plan>theirs</o:Plan><q:Plan>{"a":&gt;}</q:Plan>'
    "</rdf:Description></rdf:RDF>",
]


@pytest.mark.parametrize("text", REWRITTEN)
def test_rewritten_by_others(text):
    xmp = text.encode()
    assert embedded_plan(xmp) == '{"a":>}'
    cleared = without_plan(xmp)
    assert embedded_plan(cleared) is None
    assert b"theirs" in cleared
    assert b'o:b=""' in cleared
    assert len(descriptions(cleared)) == 1
    assert embedded_plan(embed_plan(xmp, "{}")) == "{}"
    assert embed_plan(xmp, "{}").count(b"Plan>{") == 1


def test_plans_elsewhere_are_not_ours():
    outside = f'<a xmlns:q="{NAMESPACE}"><q:Plan>x</q:Plan><rdf:RDF xmlns:rdf="{RDF}"/></a>'
    assert embedded_plan(outside.encode()) is None
    # inside a list of somebody else's
    deep = PACKETS[0].replace(b"<rdf:li/>", f'<q:Plan xmlns:q="{NAMESPACE}">x</q:Plan>'.encode())
    assert embedded_plan(deep) is None
    assert without_plan(deep) == deep


# --- pictures ---------------------------------------------------------------------------------


def carrying(xmp):
    return Picture(smooth(20, 30), metadata=Metadata(xmp=xmp))


@pytest.mark.parametrize("ext", ALL)
def test_through_files_of_every_format(tmp_path, ext):
    path = tmp_path / f"x.{ext}"
    for packet in (None, PACKETS[0]):
        picture = with_plan(carrying(packet), PLAN, on_warning=pytest.fail)
        save_picture(picture, path, on_warning=pytest.fail)
        assert plan_in_file(path) == PLAN
        again = open_picture(path)
        assert without_plan(again.metadata.xmp) == without_plan(picture.metadata.xmp)


def test_nothing_but_the_xmp_changes():
    metadata = Metadata(exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0", xmp=None, resolution=(72.0, 72.0))
    picture = Picture(smooth(4, 4), icc_profile=b"profile", metadata=metadata)
    changed = with_plan(picture, PLAN)
    assert picture.metadata.xmp is None
    assert changed.pixels is picture.pixels
    assert changed.icc_profile == b"profile"
    assert (changed.metadata.exif, changed.metadata.resolution) == (metadata.exif, (72.0, 72.0))


def test_plans_are_composed():
    twice = with_plan(with_plan(carrying(PACKETS[0]), PLAN), OTHER, on_warning=pytest.fail)
    whole = parse_plan(embedded_plan(twice.metadata.xmp))
    assert whole.operations == (*PLAN.operations, *OTHER.operations)
    empty = with_plan(carrying(None), EditPlan())
    noted = PLAN.model_copy(update={"explanation": "as it was"})
    assert parse_plan(embedded_plan(with_plan(empty, noted).metadata.xmp)) == noted


@pytest.mark.parametrize(
    "earlier",
    [
        EditPlan(definitions="somebody/2", operations=(step("flip"),)).to_json(),
        '{"operations": [{"name": "unheard-of"}]}',
        "not JSON",
        "",
    ],
)
def test_plans_that_do_not_compose_are_replaced_with_a_warning(earlier):
    said = []
    picture = carrying(embed_plan(PACKETS[0], earlier))
    changed = with_plan(picture, PLAN, on_warning=said.append)
    assert parse_plan(embedded_plan(changed.metadata.xmp)) == PLAN
    (text,) = said
    assert text.startswith("The plan that the picture brought along was replaced")
    assert text.endswith(".")
    assert "\n" not in text


@pytest.mark.parametrize("xmp", [xmp for xmp in MALFORMED if xmp])
def test_malformed_xmp_is_left_as_it_is_with_a_warning(xmp):
    said = []
    picture = carrying(xmp)
    assert with_plan(picture, PLAN, on_warning=said.append) is picture
    assert len(said) == 1
    assert "malformed" in said[0]


def test_an_abstained_plan_is_refused():
    with pytest.raises(PlanError, match="abstained"):
        with_plan(carrying(None), EditPlan(abstained=True))


def test_a_plan_too_long_for_a_jpeg_does_not_cost_the_rest(tmp_path):
    said = []
    many = EditPlan(operations=(step("bright", offset=1),) * 2000)
    picture = with_plan(carrying(PACKETS[0]), many)
    save_picture(picture, tmp_path / "x.jpg", on_warning=said.append)
    assert open_picture(tmp_path / "x.jpg").metadata.xmp == PACKETS[0]
    assert len(said) == 1
    assert "edit plan is too long" in said[0]
    save_picture(picture, tmp_path / "x.png", on_warning=pytest.fail)
    assert plan_in_file(tmp_path / "x.png") == many


def test_files_without_a_plan(tmp_path):
    path = save_pillow(tmp_path / "x.jpg", smooth(20, 30))
    with pytest.raises(PlanError, match=r"x.jpg' holds no edit plan.*--embed-plan"):
        plan_in_file(path)
    save_picture(carrying(embed_plan(None, '{"operations": 5}')), path)
    with pytest.raises(PlanError, match="operations: input should be a list") as caught:
        plan_in_file(path)
    assert caught.value.problems
    (tmp_path / "x.xmp").write_bytes(embed_plan(None, "{}")[:-60])
    with pytest.raises(PlanError, match="malformed"):
        plan_in_file(tmp_path / "x.xmp")
    (tmp_path / "x.gif").write_bytes(b"GIF89a" + bytes(60))
    with pytest.raises(PictureReadError, match="a GIF"):
        plan_in_file(tmp_path / "x.gif")


# --- the command line -------------------------------------------------------------------------


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.mark.parametrize("ext", [*ALL, "xmp"])
def test_commands_read_plans_from_pictures(tmp_path, ext):
    path = tmp_path / f"photo.{ext}"
    if ext == "xmp":
        path.write_bytes(embed_plan(PACKETS[0], PLAN.to_json()))
    else:
        save_picture(with_plan(carrying(PACKETS[0]), PLAN), path)
    shown = run("plan", "show", path, "--json")
    assert shown.exit_code == 0, shown.output
    assert parse_plan(shown.output) == PLAN


def test_what_one_picture_got_is_done_to_another(tmp_path):
    done, source = tmp_path / "done.jpg", tmp_path / "new.png"
    save_picture(with_plan(carrying(None), PLAN), done)
    save_pillow(source, smooth(20, 30))
    result = run("apply", source, "--plan", done, "-o", tmp_path / "out.png")
    assert result.exit_code == 0, result.output
    (tmp_path / "plan.json").write_text(PLAN.to_json())
    run("apply", source, "--plan", tmp_path / "plan.json", "-o", tmp_path / "same.png")
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "same.png").read_bytes()
    assert run("plan", "validate", done, tmp_path / "plan.json").exit_code == 0
    inverse = run("plan", "invert", done, "-o", done)
    assert inverse.exit_code == 2  # never over the input
    assert plan_in_file(done) == PLAN


def test_commands_say_what_is_wrong_with_a_picture(tmp_path):
    path = save_pillow(tmp_path / "plain.jpg", smooth(20, 30))
    for arguments in (
        ("plan", "show", path),
        ("apply", path, "--plan", path, "-o", tmp_path / "o"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1
        assert "holds no edit plan" in result.stderr
    path.write_bytes(path.read_bytes()[:30])
    result = run("plan", "validate", path)
    assert result.exit_code == 1
    assert "cut short" in result.stderr
    (tmp_path / "text.jpg").write_text("hello")
    assert "not JSON" in run("plan", "show", tmp_path / "text.jpg").stderr


@given(data=st.binary(max_size=60), at=st.integers(0, 2000))
@settings(SHARED_FOLDER, max_examples=80)
def test_random_damage_never_escapes(data, at):
    packet = embed_plan(PACKETS[0], PLAN.to_json())
    damaged = packet[:at] + data + packet[at + len(data) :]
    said = []
    changed = with_plan(carrying(damaged), OTHER, on_warning=said.append)
    if changed.metadata.xmp == damaged:
        assert said
    else:
        assert embedded_plan(changed.metadata.xmp) is not None
