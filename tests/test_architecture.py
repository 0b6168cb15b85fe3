"""What the tree promises about itself: who imports whom, file sizes, what is packaged, what is documented."""

from __future__ import annotations

import ast
import functools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from adapters import ADAPTERS
from bot.cli import COMMANDS
from bot.sections import SECTIONS
from tests.conftest import SLOW

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("adapters", "bot", "rules")
MAX_LINES = 400
README = (ROOT / "README.md").read_text(encoding="utf-8")


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (ROOT / folder).rglob("*.py")


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add(node.module or "")
    return found


def importers(*modules: str) -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for path in sources(*PACKAGES)
        if any(name.split(".")[0] in modules for name in imports(path))
    }


def test_adapters_import_nothing_of_ours():
    assert not [path for path in importers("bot", "rules") if path.startswith("adapters/")]


def test_rules_import_nothing_of_ours():
    assert not [path for path in importers("bot", "adapters") if path.startswith("rules/")]


def test_only_the_engine_imports_durable_rules():
    assert importers("durable", "durable_rules_engine") == {"rules/engine.py"}


def test_only_the_store_imports_a_database_driver():
    drivers = importers("sqlite3", "aiosqlite", "asyncpg", "aiosql")
    assert drivers
    assert all(path.startswith("bot/store/") for path in drivers)


def test_no_file_is_longer_than_a_room():
    lengths = {
        path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources(*PACKAGES, "bench", "tests")
    }
    assert not {str(path): length for path, length in lengths.items() if length > MAX_LINES}


def test_every_module_and_public_name_has_a_docstring():
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    without = []
    for path in sources(*PACKAGES):
        tree = tree_of(path)
        public = [node for node in tree.body if isinstance(node, definitions) and not node.name.startswith("_")]
        without += [
            f"{path}: {getattr(node, 'name', 'itself')}" for node in (tree, *public) if not ast.get_docstring(node)
        ]
    assert not without


def test_no_test_stands_inside_another_function_where_nobody_would_run_it():
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    for path in sources("tests"):
        for outer in ast.walk(tree_of(path)):
            for inner in outer.body if isinstance(outer, functions) else ():
                assert not (isinstance(inner, functions) and inner.name.startswith("test_")), f"{path}: {inner.name}"


def test_packages_and_their_data_are_in_the_wheel():
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(build["packages"]) == set(PACKAGES)
    assert "config.toml" in build["force-include"]


def test_every_command_is_in_the_readme():
    for name in COMMANDS:
        assert f"textwright {name}" in README


def test_what_is_called_slow_is_there():
    assert not [name for name in SLOW if not (ROOT / "tests" / name).exists()]


def test_every_configuration_key_is_in_the_readme():
    for section, model in SECTIONS.items():
        for key in model.model_fields:
            assert re.search(rf"\| `{section}` \|[^|]*`{key}`|`{section}\.{key}`", README), f"[{section}] {key}"


def test_every_adapter_is_in_the_readme_and_has_a_page_with_its_settings():
    providers = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
    for name, adapter in ADAPTERS.items():
        assert f"`{name}`" in README
        page = (ROOT / "docs" / "http-channel.md").read_text(encoding="utf-8") if name == "http" else providers
        own = page if name == "http" else page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        for key in adapter.settings:
            assert f"`{key}`" in own, f"{name}: {key}"


def test_nothing_names_a_package_registry():
    hosts = ("pypi" + ".org", "python" + "hosted", "npm" + "js", "deb" + "ian.org")
    for path in ROOT.rglob("*"):
        skipped = {".git", ".venv", "node_modules", "build", "dist"} & set(path.parts)
        if (
            path.is_file()
            and not skipped
            and path.suffix in (".py", ".md", ".toml", ".yaml", ".sql", ".sh", ".json", "")
        ):
            text = path.read_text(encoding="utf-8", errors="ignore")
            assert not [host for host in hosts if host in text], path
