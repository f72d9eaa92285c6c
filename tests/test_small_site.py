"""Tests of the extension that makes the site small: every page says and does the same afterwards."""

import html
import json
import re
from base64 import b64encode
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from tests.helpers.browser import opened_browser
from tests.helpers.loaded import module_of

ROOT = Path(__file__).resolve().parents[1]
ipywidgets = pytest.importorskip("ipywidgets")


@pytest.fixture(scope="module")
def small_site() -> ModuleType:
    return module_of(ROOT / "book" / "_extensions" / "small_site.py")


# --- widgets ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def page_with_widgets() -> str:
    """A page as MyST-NB writes it, with an explorer in miniature and a frame that holds a script's end."""
    ipywidgets.Widget.close_all()
    frames = [ipywidgets.HTML(f"<p>λ = {index}</p></script>") for index in range(3)]
    slider = ipywidgets.SelectionSlider(options=["a", "b", "c"], description="step")
    stack = ipywidgets.Stack(frames, selected_index=0, layout=ipywidgets.Layout(width="100%"))
    ipywidgets.jsdlink((slider, "index"), (stack, "selected_index"))
    root = ipywidgets.VBox([slider, stack]).add_class("lmc-explorer")
    state = json.dumps(ipywidgets.Widget.get_manager_state()).replace("</script", "<\\/script")
    view = json.dumps({"version_major": 2, "version_minor": 0, "model_id": root.model_id})
    ipywidgets.Widget.close_all()
    return (
        '<html><body><script type="application/vnd.jupyter.widget-view+json">'
        f'{view}</script><p>text</p><script type="application/vnd.jupyter.widget-state+json">{state}</script></body>'
    )


def widgets_of(page: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """The id of the shown widget, and all models of a page."""
    state, view = (
        json.loads(re.findall(rf'<script type="application/vnd.jupyter.widget-{kind}\+json">(.*?)</script>', page)[0])
        for kind in ("state", "view")
    )
    return view["model_id"], state["state"]


def unfolded(name: str, models: dict[str, dict[str, Any]], small_site: ModuleType) -> Any:
    """A model with everything it refers to in the place of names, and with all its defaults."""
    model = models[name]
    state = {**small_site._defaults(model["model_module"], model["model_name"]), **model["state"]}

    def resolve(value: Any) -> Any:
        if isinstance(value, str) and value.startswith("IPY_MODEL_"):
            return unfolded(value.removeprefix("IPY_MODEL_"), models, small_site)
        return [resolve(each) for each in value] if isinstance(value, list) else value

    return model["model_name"], {key: resolve(value) for key, value in state.items()}


def test_shortened_widgets_are_the_same_widgets(small_site, page_with_widgets):
    shorter = small_site.shorten_widgets(page_with_widgets)
    assert len(shorter) < 0.7 * len(page_with_widgets)
    (before, models_before), (after, models_after) = map(widgets_of, (page_with_widgets, shorter))
    assert len(models_before) == len(models_after)
    assert unfolded(after, models_after, small_site) == unfolded(before, models_before, small_site)
    links = [model for model in models_after.values() if model["model_name"] == "DirectionalLinkModel"]
    [(source, target)] = [(link["state"]["source"], link["state"]["target"]) for link in links]
    assert models_after[source[0].removeprefix("IPY_MODEL_")]["model_name"] == "SelectionSliderModel"
    assert (source[1], target[1]) == ("index", "selected_index")


def test_shortening_twice_is_shortening_once_and_other_pages_stay(small_site, page_with_widgets):
    once = small_site.shorten_widgets(page_with_widgets)
    assert small_site.shorten_widgets(once) == once
    assert small_site.shorten_widgets("<html>no widget</html>") == "<html>no widget</html>"


def repetitive(page: str) -> str:
    """The page with a widget whose drawing says the same again and again, as all frames do."""
    mark = "<circle class='m' cx='{0}.5' cy='{0}'/> λ = ½ & \\"
    drawing = "".join(mark.format(index) for index in range(200))
    assert "= 1</p>" in page
    return page.replace("= 1</p>", f"= 1 {json.dumps(drawing)[1:-1]}</p>")


def test_packed_widgets_are_the_same_once_their_letters_are_replaced(small_site, page_with_widgets):
    page = small_site.shorten_widgets(repetitive(page_with_widgets))
    packed = small_site.pack_widgets(page)
    assert len(packed.encode()) < 0.6 * len(page.encode())
    [(state, words)] = re.findall(
        r" data-packed>(.*?)</script><script>\(e=>\{const w=(\[.*?\]);e\.text", packed, re.DOTALL
    )
    unpacked = small_site.ANY_LETTER.sub(lambda letter: json.loads(words)[ord(letter[0]) - 0x400], state)
    assert unpacked == small_site.WIDGET_STATE.search(page)[2]
    # the rest of the page is as it was, and a page that is read again stays
    start, end = page.split(unpacked)
    assert packed.startswith(start[:-1]) and packed.endswith(end.removeprefix("</script>"))
    assert small_site.pack_widgets(small_site.shorten_widgets(packed)) == packed


def test_what_has_such_letters_itself_or_gains_nothing_is_not_packed(small_site, page_with_widgets):
    shortened = small_site.shorten_widgets(repetitive(page_with_widgets))
    russian = shortened.replace("step", "шаг")
    assert russian != shortened and small_site.pack_widgets(russian) == russian
    for page in ("<html>no widget</html>", '<script type="application/vnd.jupyter.widget-state+json">{}</script>'):
        assert small_site.pack_widgets(page) == page


@pytest.mark.browser
@pytest.mark.slow
def test_a_browser_unpacks_widgets_before_they_are_read(small_site, page_with_widgets, tmp_path):
    page = small_site.shorten_widgets(repetitive(page_with_widgets))
    packed = small_site.pack_widgets(page).replace("<html>", '<!doctype html><html><meta charset="utf-8">')
    (tmp_path / "packed.html").write_text(packed, encoding="utf-8")
    with opened_browser(tmp_path / "chromium") as browser:
        browser.driver.get((tmp_path / "packed.html").as_uri())
        found = browser.run(
            "return [...document.querySelectorAll('script[type=\"application/vnd.jupyter.widget-state+json\"]')]"
            ".map((script) => script.textContent)"
        )
    assert found == [small_site.WIDGET_STATE.search(page)[2]]


def test_empty_lists_of_classes_are_left_to_the_page(small_site, page_with_widgets):
    before, after = (
        [model["state"].get("_dom_classes") for model in widgets_of(page)[1].values()]
        for page in (page_with_widgets, small_site.shorten_widgets(page_with_widgets))
    )
    assert [] in before and [] not in after
    assert [each for each in before if each] == [each for each in after if each] == [["lmc-explorer"]]


def test_frames_have_single_quotes_where_that_is_the_same_html(small_site):
    from html.parser import HTMLParser

    from lmcbook.pages.widgets import drawing

    class Pieces(HTMLParser):
        def __init__(self, text: str) -> None:
            super().__init__()
            self.found: list[Any] = []
            self.feed(text)

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found.append((tag, attrs))

        def handle_data(self, data: str) -> None:
            self.found.append(data)

    chart = drawing.Chart(title='a < b\'s "c"', x=(0, 1), y=(0, 1), x_ticks={0: "0"}, y_ticks={1: "1"}, x_label="x")
    frame = drawing.panels(drawing.svg(chart.axes(), chart.dot(0.5, 0.5, "k", 3)), label='model a\'s "best" & > all')
    shorter = small_site.single_quoted(frame)
    assert '"' not in shorter and len(shorter) == len(frame)
    assert Pieces(shorter).found == Pieces(frame).found


@pytest.mark.parametrize(
    "value",
    [
        '<p class="a">it\'s</p>',
        '<p class="a">"quoted"</p>',
        '<style>.a[b="c"] {}</style><p class="a">x</p>',
        '<textarea><p class="a"></textarea>',
        '<!-- <p class="a"> --><p>x</p>',
        '<p title="a > b">x</p>',
        '<p title=a"b>x</p>',
        '2 < 3 <p class="a">x</p>',
    ],
)
def test_html_that_might_be_something_else_keeps_its_quotes(value, small_site):
    assert small_site.single_quoted(value) == value


# --- lines -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "shorter"),
    [
        ("<ul>\n\n      <li>a</li>  \n   \n <li>b</li>\n</ul>", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>"),
        ("<p><b>two</b>\n   <i>words</i> <u>more</u></p>", "<p><b>two</b>\n<i>words</i> <u>more</u></p>"),
        ("<p>text\n   <b>x</b>\n   text</p>", "<p>text\n   <b>x</b>\n   text</p>"),
        ("<pre><b>x</b>\n    <i>y</i>\n</pre>\n\n<p></p>", "<pre><b>x</b>\n    <i>y</i>\n</pre>\n<p></p>"),
        ("<script>a = '<b>\n\n  <i>'</script>", "<script>a = '<b>\n\n  <i>'</script>"),
        ("<svg><g>\n\n <g/></g></svg>", "<svg><g>\n\n <g/></g></svg>"),
        ("<TEXTAREA><b>\n\n </b></TEXTAREA>", "<TEXTAREA><b>\n\n </b></TEXTAREA>"),
        ("<style>a>\n\n<b</style>", "<style>a>\n\n<b</style>"),
        ("<!-- <a>\n\n <b> -->", "<!-- <a>\n\n <b> -->"),
        ("<preface>\n\n <b></b></preface>", "<preface>\n<b></b></preface>"),
    ],
)
def test_blank_lines_go_and_spaces_between_words_stay(page, shorter, small_site):
    assert small_site.shorten_lines(page) == shorter
    assert small_site.shorten_lines(shorter) == shorter


# --- figures ---------------------------------------------------------------------------------------------------------


def page_with_figures() -> str:
    """Two figures of a page, as `lmcbook.pages.figures.svg` writes them."""
    from matplotlib.figure import Figure

    from lmcbook.pages.figures import style
    from lmcbook.pages.figures.svg import to_svg

    drawings = []
    for name in ("first", "second"):
        figure = Figure(figsize=(3, 2))
        axes = figure.subplots()
        axes.plot([0, 1, 2], [1, 3, 2], marker="o", color=style.STRONG)
        axes.set_title("a b  c < d")
        drawings.append(f'<div class="lmc-wide">{to_svg(figure, name, "words")}</div>')
    return "<body>" + "<hr/>".join(drawings) + "</body>"


def drawn(page: str) -> list[Any]:
    """Every mark of every drawing, with its style and what it refers to in the place of names."""
    root = ElementTree.fromstring(page)
    styles = dict(
        re.findall(r"\.([\w-]+)\{([^}]*)\}", "".join(each.text or "" for each in root.iter() if "style" in each.tag))
    )
    ids = {each.get("id"): each for each in root.iter() if each.get("id")}

    def mark(element: Any) -> Any:
        given = {
            key: re.sub(r"\s*([A-Za-z])\s*", r"\1", value).strip() if key == "d" else value
            for key, value in element.attrib.items()
            if key != "id"
        }
        if given.get("class") in styles:
            given["class"] = styles[given["class"]]
        for key, value in given.items():
            if found := re.fullmatch(r"(?:url\()?#([\w-]+)\)?", value):
                given[key] = [mark(each) for each in ids[found[1]].iter()]
        return element.tag, given, (element.text or "").strip() if element.tag.endswith("text") else ""

    return [mark(each) for each in root.iter() if not each.tag.endswith(("}g", "style"))]


def test_shortened_figures_are_the_same_drawings(small_site):
    page = page_with_figures()
    shorter = small_site.shorten_figures(page)
    assert len(shorter) < 0.9 * len(page)
    assert drawn(shorter) == drawn(page)
    names = re.findall(r' id="([^"]+)"', shorter)
    assert len(set(names)) == len(names), "two shapes of one page share a name"
    assert small_site.shorten_figures(shorter) == shorter


# --- sources ---------------------------------------------------------------------------------------------------------


def test_highlighted_sources_keep_their_text_and_their_colours(small_site):
    pygments, lexers, formatters = (pytest.importorskip(f"pygments{part}") for part in ("", ".lexers", ".formatters"))
    source = Path(small_site.__file__).read_text(encoding="utf-8")
    body = pygments.highlight(source, lexers.PythonLexer(), formatters.HtmlFormatter())
    context: dict[str, Any] = {"body": body, "sidebars": ["navigation"]}
    small_site.leave_navigation_off_sources(SimpleNamespace(), "_modules/x", "page.html", context, None)
    assert len(context["body"]) < 0.75 * len(body)
    text = [html.unescape(re.sub(r"<[^>]+>", "", each)) for each in (body, context["body"])]
    assert text[0] == text[1]
    dropped = set(re.findall(r'class="(\w+)"', body)) - set(re.findall(r'class="(\w+)"', context["body"]))
    assert dropped <= {"n", "nn", "nx", "p", "w"}

    untouched: dict[str, Any] = {"body": body}
    small_site.leave_navigation_off_sources(SimpleNamespace(), "results/x", "page.html", untouched, None)
    assert untouched == {"body": body}


@pytest.mark.parametrize("style", ["a11y-high-contrast-light", "a11y-high-contrast-dark"])
def test_what_loses_its_mark_had_the_colour_of_the_text(style):
    """The two code styles of the theme; only what looks like plain text may lose its mark."""
    pytest.importorskip("a11y_pygments")
    token = pytest.importorskip("pygments.token")
    colours = pytest.importorskip("pygments.styles").get_style_by_name(style)
    plain = colours.style_for_token(token.Text)["color"]
    marks = (token.Name, token.Name.Namespace, token.Name.Other, token.Punctuation, token.Whitespace)
    found = [colours.style_for_token(each) for each in marks]
    assert plain and {each["color"] for each in found} == {plain}
    assert not any(each["bold"] or each["italic"] or each["underline"] for each in found)


def test_data_are_the_same_and_shorter(small_site):
    table = "network,λ,lost\nMLP on digits,0.5,-3.5\n" + "\n".join(f"a,{each},0.25" for each in range(40))
    link = f'<a download="x.csv" href="data:text/csv;charset=utf-8;base64,{b64encode(table.encode()).decode()}">x</a>'
    shorter = small_site.DATA.sub(small_site.plain_data, link)
    assert len(shorter) < len(link)
    [address] = re.findall(r'href="data:text/csv;charset=utf-8,([^"]*)"', shorter)
    assert unquote(address) == table and not set(address) & {"<", ">", "&", "#", " ", "\n"}
    # Greek letters alone are shorter in base64
    greek = f'href="data:text/csv;charset=utf-8;base64,{b64encode(("λ" * 40).encode()).decode()}"'
    assert small_site.DATA.sub(small_site.plain_data, greek) == greek


def test_a_style_sheet_stands_once_and_scripts_are_left_alone(small_site):
    script = '<script type="x">"<style>a {}</style><style>a {}</style>"</script>'
    page = f"<style>a {{}}</style><p>1</p><style>b {{}}</style>{script}<style>a {{}}</style><p>2</p>"
    once = small_site.styles_once(page)
    assert once == f"<style>a {{}}</style><p>1</p><style>b {{}}</style>{script}<p>2</p>"
    assert small_site.styles_once(once) == once


def test_places_are_rounded_to_a_tenth_and_nothing_else_is(small_site):
    text = '<text x="3.14">3.14</text>'
    drawing = (
        f'<svg viewBox="0 0 12.34 5.67"><path d="M1.25 -0.04L10.96 20.00"/>{text}<circle cx="7.77" r="2.25"/></svg>'
    )
    page = f'<div class="lmc-wide">{drawing}</div><p>1.23</p>'
    found = small_site.rounded_figures(page)
    [numbers] = re.findall(r' d="M([^"]*)"', found)
    before, after = (
        [float(each) for each in re.findall(r"-?[\d.]+", given)] for given in ("1.25 -0.04L10.96 20.00", numbers)
    )
    assert all(abs(one - other) <= 0.051 for one, other in zip(before, after, strict=True)) and len(numbers) < 22
    assert '<text x="3.1">3.14</text>' in found and 'viewBox="0 0 12.34 5.67"' in found
    assert 'cx="7.8" r="2.25"' in found and found.endswith("<p>1.23</p>")
    assert small_site.rounded_figures(found) == found


def test_comments_and_the_place_for_advertisements_go_and_scripts_keep_theirs(small_site):
    page = (
        "<p>a</p><!-- for the makers\n of the theme --><script>x = '<!-- kept -->';</script>"
        '<div id="ethical-ad-placement"\n class="flat">\n</div><pre><!-- kept --></pre><p>b</p>'
    )
    shorter = small_site.FOR_NOBODY.sub(lambda found: found[1] or "", page)
    assert shorter == "<p>a</p><script>x = '<!-- kept -->';</script><pre><!-- kept --></pre><p>b</p>"


def test_sources_load_nothing_for_what_they_have_none_of(small_site):
    files = [
        SimpleNamespace(filename="_static/togglebutton.js", attributes={}),
        SimpleNamespace(filename=None, attributes={"body": "let toggleHintShow = 'Click to show';"}),
        SimpleNamespace(filename="_static/copybutton.js", attributes={}),
        SimpleNamespace(filename="_static/custom.css", attributes={}),
    ]
    for page, kept in (("_modules/x", files[2:]), ("results/x", files)):
        context = {"script_files": list(files), "css_files": list(files)}
        small_site.leave_navigation_off_sources(SimpleNamespace(), page, "page.html", context, None)
        assert context["script_files"] == context["css_files"] == kept


def test_attributes_stand_on_one_line_but_in_preformatted_text(small_site):
    page = '<button class="btn"\n        title="a\n b"\n  data-x="1">\n"word"\n</button><pre>"a"\n  b="c"</pre>'
    shorter = small_site.BROKEN_TAGS.sub(lambda found: found[1] or " ", page)
    assert shorter == '<button class="btn" title="a\n b" data-x="1">\n"word"\n</button><pre>"a"\n  b="c"</pre>'


# --- the site --------------------------------------------------------------------------------------------------------


def test_only_pages_that_were_written_since_are_shortened(small_site, tmp_path, monkeypatch):
    site = SimpleNamespace(outdir=str(tmp_path / "html"), doctreedir=str(tmp_path))
    (tmp_path / "html" / "_static").mkdir(parents=True)
    long = "<html><p>word</p>\n   \n<style>a</style><style>a</style></html>"
    looked_at: list[str] = []
    shorten = small_site.shorten_lines

    def counted(page: str) -> str:
        looked_at.append(page)
        return shorten(page)

    monkeypatch.setattr(small_site, "shorten_lines", counted)
    pages = [tmp_path / "html" / f"{name}.html" for name in "ab"]
    for page in pages:
        page.write_text(long)
    for damage, expected in ((None, 2), (None, 0), ("page", 1), ("state", 2), (None, 0)):
        if damage == "page":
            pages[0].write_text(long + " ")
        if damage == "state":
            (tmp_path / "shortened.json").write_text("[")
        looked_at.clear()
        small_site.drop_what_no_reader_asks_for(site, None)
        assert len(looked_at) == expected
        assert all(len(page.read_text()) < len(long) for page in pages)


@pytest.mark.parametrize("processors", [1, 2, 64])
def test_pages_are_shortened_alike_by_any_number_of_processes(small_site, tmp_path, monkeypatch, processors):
    monkeypatch.setattr(small_site.os, "cpu_count", lambda: processors)
    site = SimpleNamespace(outdir=str(tmp_path / "html"), doctreedir=str(tmp_path))
    (tmp_path / "html").mkdir()
    texts = (f"<p>{'word ' * number}</p>\n   \n<p>end</p>" for number in range(35))
    pages = {tmp_path / "html" / f"{number}.html": text for number, text in enumerate(texts)}
    for page, text in pages.items():
        page.write_text(text)
    small_site.drop_what_no_reader_asks_for(site, None)
    assert all(page.read_text() == small_site.shorten_lines(text) != text for page, text in pages.items())
    known = json.loads((tmp_path / "shortened.json").read_text())
    assert known == {page.name: small_site._written(page) for page in pages}


def test_a_page_that_cannot_be_read_ends_the_build(small_site, tmp_path, monkeypatch):
    monkeypatch.setattr(small_site.os, "cpu_count", lambda: 2)
    site = SimpleNamespace(outdir=str(tmp_path / "html"), doctreedir=str(tmp_path))
    (tmp_path / "html").mkdir()
    for number in range(35):
        (tmp_path / "html" / f"{number}.html").write_bytes(b"\xff" if number == 20 else b"<p>\n \n<p>")
    with pytest.raises(Exception, match="UnicodeDecodeError"):
        small_site.drop_what_no_reader_asks_for(site, None)
    assert not (tmp_path / "shortened.json").exists()
