"""What is left out of scripts and style sheets on their way to the browser, and what must not be."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from lookout.api.assets import Assets
from lookout.api.lean import lean_page, lean_script, lean_style
from lookout.resources import static_folder
from playwright._impl._driver import compute_driver_executable

from tests.requires import requires
from tests.support.languages import LANGUAGES


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("// Why.\n\nconst a = b ? { c: 1 } : [2, 3];\n", "const a=b?{c:1}:[2,3];"),
        ("  /* two\n  lines */\n  f(x);", "f(x);"),
        ('say("a , b = c", d , e);', 'say("a , b = c",d,e);'),
        ("x = a + +b - -c;", "x=a + +b - -c;"),
        ('return /a , " b/.test(x , y);', 'return /a , " b/.test(x , y);'),
        ("f(`${a ? `x , y` : z} , w`);", "f(`${a ? `x , y` : z} , w`);"),
        ("f(`a , b`, c);", "f(`a , b`,c);"),
        ("a = b / c; // why", "a = b / c;"),
        ('say("a // b", c); // so that "d" is', 'say("a // b",c);'),
        ("f(`${a ? `x // y` : z} // w`); // why", "f(`${a ? `x // y` : z} // w`); // why"),
        (r'f("\" , ", x , y);', r'f("\" , ", x , y);'),
        ("f(`first ,\n  second , line`);", "f(`first ,\n  second , line`);"),
        ("f(a,\n  b);\ng();\nh()\nk = [\n 1,\n]", "f(a,b);g();h()\nk=[1,]"),
        ("f(); // why;\n// how\ng()", "f();g()"),
        ("return a in b && c instanceof d", "return a in b&&c instanceof d"),
    ],
)
def test_a_script_loses_nothing_that_counts(source: str, sent: str) -> None:
    assert lean_script(source) == sent


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        (
            "/* why */\n.a > .b, .c :focus {\n  margin: -1px auto;\n  width: calc(1px + 2%);\n}\n",
            ".a > .b,.c :focus{margin:-1px auto;width:calc(1px + 2%);}",
        ),
        ('.a::after { content: " ; , "; }', '.a::after{content:" ; , ";}'),
        ("@media (width < 1px) and (hover: none) { .a { b: c; } }", "@media (width < 1px) and (hover:none){.a{b:c;}}"),
    ],
)
def test_a_style_sheet_loses_nothing_that_counts(source: str, sent: str) -> None:
    assert lean_style(source) == sent


def test_a_page_keeps_its_words_and_their_spaces() -> None:
    assert lean_page("<!-- why\n -->\n  <p>One <b>two</b>\n    three</p>\n") == "\n<p>One <b>two</b>\nthree</p>\n"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_there_twice_of_which_the_first_would_never_be_said(language: str) -> None:
    """The source of the picture was headed by the help of the setting of that name."""
    texts = (static_folder() / f"texts.{language}.js").read_text("utf-8")
    keys = Counter(re.findall(r'^  "?([\w.]+)"?:', texts, re.MULTILINE))
    assert [key for key, count in keys.items() if count > 1] == []


@requires("node")
def test_the_dashboards_own_scripts_are_whole_and_say_the_same(tmp_path: Path) -> None:
    """Every text, and the syntax of every module."""
    assets, texts = Assets(static_folder()), []
    (tmp_path / "lab").mkdir()
    scripts = [name for name in assets.names if name.endswith(".js")]
    for name in scripts:
        file = (tmp_path / name).with_suffix(".mjs")
        file.write_bytes(assets.response(name, {}).body)
        if not name.startswith("lab/") and name.startswith("texts."):
            texts.append(name)
    modules = ", ".join(f"await parsed('./{Path(name).with_suffix('.mjs')}')" for name in scripts)
    check = f"""
        import {{ readFileSync }} from "node:fs";
        import vm from "node:vm";
        const parsed = (name) => new vm.SourceTextModule(readFileSync(name, "utf8")) && 1;
        const found = [{modules}];
        const sources = {json.dumps([str(static_folder() / name) for name in texts])};
        const sent = {json.dumps(["./" + str(Path(name).with_suffix(".mjs")) for name in texts])};
        for (let i = 0; i < sent.length; i++) {{
          const whole = "data:text/javascript;base64," + readFileSync(sources[i]).toString("base64");
          const [a, b] = [(await import(sent[i])).TEXTS, (await import(whole)).TEXTS];
          if (JSON.stringify(a) !== JSON.stringify(b)) throw new Error(sent[i]);
        }}
        console.log(found.length);
    """
    (tmp_path / "check.mjs").write_text(check)
    command = [compute_driver_executable()[0], "--experimental-vm-modules", "--no-warnings", "check.mjs"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert said.stdout.strip() == str(len(scripts)), said.stderr
