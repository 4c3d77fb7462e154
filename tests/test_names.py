"""Names and phrases that were replaced by the field's terms and plain English do not come back."""

from __future__ import annotations

import functools
import io
import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = sorted(path for path in ROOT.glob("tests/**/*.py") if path != Path(__file__).resolve())
CODE = sorted([*ROOT.glob("service/**/*.py"), *ROOT.glob("models/**/*.py"), *ROOT.glob("static/**/*.js"), *TESTS])
PAPERS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "models" / "README.md", ROOT / "SECURITY.md"]
SCRIPTS = [ROOT / "Dockerfile", ROOT / "demo.sh", *(ROOT / "systemd").iterdir(), ROOT / "static" / "index.html"]

# Old name -> what it is called now.
NAMES = {
    "EndlessResponse": "StreamResponse",
    "Heads": "HeadMiddleware",
    "Look": "FeatureMapResult",
    "Looks": "FeatureMapRequests",
    "Helpers": "BoundedExecutor",
    "Provided": "ServicesDep",
    "Predicted": "PredictionRecord",
    "Learnt": "MachineProfile",
    "Choices": "TuningCache",
    "Insight": "MapNetworkCache",
    "Upkeep": "Housekeeping",
    "Late": "DeadlineExceeded",
    "Asked": "…Query",
    "Wish": "LiveQuery",
    "Wishes": "AddModelOptions",
    "Turns": "StateSchedule",
    "Crowded": "TooManyConnections",
    "_Teller": "Clock",
    "bounded": "run_with_deadline",
    "wind_down": "close_mailbox",
    "hand_back": "release_free_memory",
    "keep_little": "limit_arenas",
    "look_soon": "request_refresh",
    "looked_again": "wait_for_refresh",
    "patience": "timeout",
    "patience_s": "stall_timeout_s",
    "open_telling_session": "open_session_with_outputs",
    "learnt": "profile",
    "upkeep": "housekeeping",
    "insight": "map_network_cache",
    "_told": "to_json, …_response",
    "told": "what the value is",
}
MODULES = {
    "words",
    "helpings",
    "upkeep",
    "insight",
    "loading",
    "wire",
    "telling",
    "looks",
    "heads",
    "endless",
    "bounded",
}
# Endings and beginnings: limits are MAX_ and MIN_, and what goes over the API is a …Response.
FORMS = re.compile(r"_?(MOST|LEAST|FEWEST|LONGEST|SHORTEST|LARGEST|SMALLEST|GREATEST)(_[A-Z0-9_]+)?|\w+Told")

# The same phrases in the titles of tests.
TITLES = {
    r"^test_.*_(told|tells|whoever|so_long|so_many|all_else)(_|$)": "as in texts",
    r"^test_.*(?<!there)_is_no_(?!longer)": "say is_not_a",
    r"^test_.*(?<!left)_alone(_|$)": "say only",
}
PHRASES = {
    r"\btold\b|\btells\b": "say reports, returns, says",
    r"\bwhoever\b|\bwhomever\b": "say clients, callers, anybody who",
    r"\bso long\b(?! as)": "give the time: this long, for a second",
    r"\bso many\b(?![^.]* that )": "say this many, at most",
    r"\ball else\b": "say everything else",
    r"\blie where\b|\blies where\b": "say is, stays",
    r"\bpatience\b": "say timeout",
    r"(?<![Tt]here )(?<!There )\bis no\b(?! longer| larger| more| matter)": "say is not a",
    r"\bare no\b(?! longer)(?<!here are no)": "say are not",
    r"(?<!leave )(?<!leaves )(?<!left )(?<!that )(?<!machine )(?<!ime )\balone\b": "say only",
    r"\bNobody's\b|\bnobody's\b": "say whose it is not",
    r"\bis said to be\b": "say what it is",
    r"\b[Hh]elpings?\b": "say dataset",
}


@functools.cache
def _tokens(path: Path) -> tuple[tokenize.TokenInfo, ...]:
    return tuple(tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline))


def _names(path: Path) -> set[str]:
    if path.suffix == ".py":
        return {token.string for token in _tokens(path) if token.type == tokenize.NAME}
    script = re.sub(r"/\*.*?\*/|//[^\n]*|\"[^\"\n]*\"|'[^'\n]*'|`[^`]*`", "", path.read_text("utf-8"), flags=re.DOTALL)
    return set(re.findall(r"[A-Za-z_$][\w$]*", script))


def _prose(path: Path) -> str:
    """Comments and texts of code, all of a paper."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        kinds = (tokenize.COMMENT, tokenize.STRING)
        return "\n".join(token.string for token in _tokens(path) if token.type in kinds)
    if path.suffix == ".js":
        lines = (line.lstrip() for line in text.split("\n"))
        return "\n".join(line for line in lines if line.startswith(("//", "/*", "* ")) and "@" not in line)
    return text


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_code_uses_the_fields_terms() -> None:
    found = {}
    for path in CODE:
        names = _names(path)
        old = {name: NAMES[name] for name in names & NAMES.keys()}
        old |= {name: "MAX_…, MIN_…, …Response" for name in names if FORMS.fullmatch(name)}
        old |= {name: advice for name in names for form, advice in TITLES.items() if re.search(form, name)}
        if path.stem in MODULES:
            old[path.stem] = "a module is named after what it holds"
        if old:
            found[_shown(path)] = old
    assert not found


def test_texts_are_plain_english() -> None:
    found = {}
    for path in sorted({*CODE, *PAPERS, *SCRIPTS}):
        prose = _prose(path)
        tics = {match[0]: advice for phrase, advice in PHRASES.items() for match in re.finditer(phrase, prose)}
        if tics:
            found[_shown(path)] = tics
    assert not found
