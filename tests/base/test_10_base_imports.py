"""The layers of house.md section 1, read from the source: who may import whom."""

import ast
from functools import cache
from pathlib import Path

import curupira

SOURCE = Path(curupira.__file__).parent
STAGES = {
    "simulate",
    "sources",
    "preprocess",
    "grd",
    "cube",
    "detect",
    "vectorise",
    "store",
    "validate",
    "deliver",
    "report",
    "mining",
}
#: What the two starters may call without a pipeline between.
OPEN_STAGES = {"store", "validate", "deliver", "report"}
STARTERS = {"cli", "serve"}


def module_name(path):
    parts = ("curupira", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(SOURCE.rglob("*.py"))}


def part(module):
    """First name below the package: a stage, ``pipelines``, ``config``, a base module."""
    names = module.split(".")
    return names[1] if len(names) > 1 else ""


@cache
def imports(module):
    """Modules of the package that a module imports, wherever in the file."""
    path = MODULES[module]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                child = f"{base}.{alias.name}"
                found.add(child if child in MODULES else base)
    return {name for name in found if name.split(".")[0] == "curupira"} - {module}


def allowed(source, target):
    """Whether a part may import another (house.md 1)."""
    if target in (source, ""):
        return True
    if source in STARTERS:
        return target not in STAGES - OPEN_STAGES and (source, target) != ("serve", "cli")
    if source == "pipelines":
        return target not in STARTERS
    if source == "config":
        return target not in STARTERS | {"pipelines"}
    return target not in STARTERS | {"pipelines", "config"} | STAGES


def test_the_source_is_found():
    assert {"curupira.errors", "curupira.cube.archive"} <= set(MODULES)
    assert imports("curupira.cube.archive") >= {"curupira.cube.layout", "curupira.errors"}


def test_layers():
    # `curupira` itself names stages only to load them on first use.
    wrong = [
        f"{module} imports {target}"
        for module in MODULES
        if module != "curupira"
        for target in sorted(imports(module))
        if not allowed(part(module), part(target))
    ]
    assert wrong == []


def test_the_rule_refuses_what_it_should():
    assert not allowed("detect", "cube")
    assert not allowed("grid", "detect")
    assert not allowed("detect", "config")
    assert not allowed("config", "pipelines")
    assert not allowed("pipelines", "cli")
    assert not allowed("cli", "detect")
    assert allowed("cli", "store")
    assert allowed("pipelines", "detect")
    assert allowed("config", "detect")
    assert allowed("detect", "grid")


def test_no_cycles():
    done, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done:
            return
        path.append(module)
        for target in sorted(imports(module) & MODULES.keys()):
            # A package's own face gathers its modules; they may name the package.
            if not module.startswith(f"{target}."):
                visit(target)
        path.pop()
        done.add(module)

    for module in MODULES:
        visit(module)


def test_no_module_is_too_long():
    lengths = {m: len(p.read_text(encoding="utf-8").splitlines()) for m, p in MODULES.items()}
    assert {m: n for m, n in lengths.items() if n > 400} == {}
