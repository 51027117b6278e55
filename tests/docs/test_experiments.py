"""Every experiment and every distribution is in the pages, with the question that the script asks."""

import ast
import re

import rllab.distributions
from tests.docs.pages import DOCS, ROOT

ROW = re.compile(
    r"^\|(.*)\| `([\w/]+\.py)` \*\*(.+?)\*\* (.+?) \*([\w ]+)\.\* `python experiments/([\w/]+\.py)` \|$", re.M
)


def questions():
    """Return the question of each script, which is the first sentence of its docstring."""
    found = {}
    for path in (ROOT / "experiments").glob("*/*.py"):
        text = path.read_text("utf-8")
        if re.search(r"^if __name__ ==", text, flags=re.M) and path.parent.name != "benchmarks":
            doc = ast.get_docstring(ast.parse(text)) or ""
            found[f"{path.parent.name}/{path.name}"] = " ".join(doc.split("\n\n")[0].split())
    return found


def test_every_experiment_is_shown_once_with_its_question_answer_time_and_command():
    rows = ROW.findall((DOCS / "experiments.md").read_text("utf-8"))
    assert {name: question.replace("\\|", "|") for _, name, question, _, _, _ in rows} == questions()
    assert len(rows) == len(questions())
    for _, name, _, answer, _, command in rows:
        assert name == command and answer.endswith(".")


def test_every_distribution_is_named():
    public = {name for name in dir(rllab.distributions) if name[0].isupper()} - {"Distribution"}
    assert "Dirichlet" in public
    page = (DOCS / "families" / "score.md").read_text("utf-8")
    assert {name for name in public if f"`{name}`" not in page} == set()


def test_every_estimator_is_in_a_family():
    from rllab import critics
    from rllab.testing import exported_estimators

    pages = "".join(page.read_text("utf-8") for page in (DOCS / "families").glob("*.md"))
    names = [cls.__name__ for cls in (*exported_estimators(), *exported_estimators(critics))]
    assert [name for name in names if f"`{name}`" not in pages] == []
