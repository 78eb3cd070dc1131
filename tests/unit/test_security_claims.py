"""What ARCHITECTURE.md says of security is shown by tests that exist, under the names that it gives them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CITED = re.compile(r"\b((?:[a-z]+/)*test_\w+)(?:\.py)?(?:: ([^|)]+))?")


def read_security() -> str:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    section = text[text.index("\n## Security") : text.index("\n## Where things are")]
    return re.sub(r"\s+", " ", section)


def find_claims() -> list[tuple[str, str]]:
    """Return (file, words of a test's name) of each claim; no words where a whole file is cited."""
    claims: list[tuple[str, str]] = []
    for file, words in CITED.findall(read_security()):
        parts = re.split(r"; |, tests/|; tests/", words) if words else [""]
        claims += [(file, part.strip()) for part in parts if "test_" not in part]
    return claims


def test_each_claim_about_security_names_a_test_that_exists():
    missing = []
    for file, words in find_claims():
        name = file.rpartition("/")[2]
        sources = [path.read_text() for path in ROOT.glob(f"tests/**/{name}.py")]
        wanted = re.sub(r"\W+", "_", words.lower()).strip("_")
        if not any(re.search(rf"def \w*{wanted}", source.lower()) for source in sources):
            missing.append(f"{file}: {words}")
    assert missing == []


def test_there_are_claims():
    assert len(find_claims()) > 20
