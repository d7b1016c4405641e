"""Requirements reach pip as written, and what a build cannot use is refused."""

from __future__ import annotations

import pytest

from ds01.errors import UsageError
from ds01.images.requirement_text import decode_requirements
from ds01.images.requirements import (
    Requirements,
    add_packages,
    check_requirement,
    merge_requirements,
    read_requirements,
    remove_packages,
    requirement_name,
    split_packages,
    without_provided,
)


def nothing(_: str) -> str | None:
    return None


@pytest.mark.parametrize(
    ("texts", "parts"),
    [
        (['"pandas>=2.0,<3" torch'], ("pandas>=2.0,<3", "torch")),
        (["pandas>=2.0,<3 torch"], ("pandas>=2.0,<3", "torch")),
        (["numpy", "scipy tqdm"], ("numpy", "scipy", "tqdm")),
        (["pandas >= 2.0"], ("pandas >= 2.0",)),
        (["transformers[torch,sentencepiece]~=4.40"], ("transformers[torch,sentencepiece]~=4.40",)),
        (['numpy; python_version < "3.11"'], ('numpy; python_version < "3.11"',)),
        (["'numpy; python_version < \"3.11\"' tqdm"], ('numpy; python_version < "3.11"', "tqdm")),
        (["'name @ https://host/name-1.0.zip' tqdm"], ("name @ https://host/name-1.0.zip", "tqdm")),
        (["name @ git+https://host/name@main"], ("name @ git+https://host/name@main",)),
        (["git+https://github.com/o/r@v1#egg=r"], ("git+https://github.com/o/r@v1#egg=r",)),
        (["https://host/a/name-1.0-py3-none-any.whl"], ("https://host/a/name-1.0-py3-none-any.whl",)),
        (["a===weird b"], ("a===weird", "b")),
        ([""], ()),
        ([], ()),
    ],
)
def test_packages_are_split_as_a_shell_would(texts: list[str], parts: tuple[str, ...]) -> None:
    assert split_packages(texts) == parts


@pytest.mark.parametrize(
    "text",
    [
        "pandas\nRUN evil", "pandas\rRUN", "pandas\x00", "torch\u2028x", "torch\x85x", "torch\x0bx", "torch\tnumpy",
        "a\ud800", "name @ https://h/x\nRUN",
        "--index-url https://h", "-e .", "torch --pre", "-r other.txt", "numpy --hash=sha256:aa",
        "./name", "../name", "/abs/name", ".", "~/name", "name.whl", "sub/name", "file:///x.whl", "file:x",
        "name @ file:///x", "name @ ./x", "name@/x", "git+file:///x", "name @ ftp://h/x",
        "pandas=2", "pandas>=", "pandas>=2.0,<3;", "", "@", "'unclosed", "numpy; python_version <", "ünïcode", "a b!",
        "name @ https://h/x.zip\\", "numpy #comment",
        'numpy; platform_version == "a #b"', 'numpy; platform_version == "a -b"',
        "https://host/page", "git+https://h/x y z#",
    ],
)  # fmt: skip
def test_invalid_requirement_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_requirement(text)
    assert caught.value.why or caught.value.hint
    if text.strip():
        with pytest.raises(UsageError):
            split_packages([text])


def test_single_equals_sign_gets_a_hint() -> None:
    with pytest.raises(UsageError) as caught:
        split_packages(["torch pandas=2.0"])
    assert caught.value.message.startswith("'pandas=2.0'")
    with pytest.raises(UsageError) as caught:
        split_packages(["pandas=2.0"])
    assert "==" in (caught.value.hint or "")


def test_unquoted_marker_gets_a_hint() -> None:
    with pytest.raises(UsageError) as caught:
        split_packages(['numpy; python_version<"3.11" torch'])
    assert "quote" in (caught.value.hint or "")


def test_unreachable_url_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        split_packages(["name @ file:///home/x"])
    assert "file:///home/x" in (caught.value.why or "")


def test_requirements_file_keeps_order_without_comments() -> None:
    text = """\ufeff# -*- coding: latin-1 -*-
numpy==1.26.4  # the last of 1
pandas>=2.0,\\
  <3

--extra-index-url https://h/simple
torch ; python_version >= "3.9"
name @ https://h/n-1.zip#sha256=aa
-i https://h/other --pre
--find-links https://h/wheels
"""
    assert read_requirements(text, nothing).lines == (
        "numpy==1.26.4",
        "pandas>=2.0,  <3",
        "--extra-index-url https://h/simple",
        'torch ; python_version >= "3.9"',
        "name @ https://h/n-1.zip#sha256=aa",
        "-i https://h/other --pre",
        "--find-links https://h/wheels",
    )


def test_comment_ends_a_continued_line() -> None:
    assert read_requirements("numpy\\\n#and why\ntorch", nothing).lines == ("numpy", "torch")


def test_included_paths_are_relative_to_their_file() -> None:
    files = {"sub/b.txt": "b\n-r c.txt\n--requirement=../d.txt\n", "sub/c.txt": "c", "d.txt": "d\n"}
    assert read_requirements("a\n-r sub/b.txt\ne\n-rd.txt", files.get).lines == ("a", "b", "c", "d", "e", "d")


def test_constraints_and_their_includes_are_kept_apart() -> None:
    files = {"c.txt": "numpy<2  # why\n-r more.txt\n", "more.txt": "scipy<1.14\n", "r.txt": "-c c.txt\npandas"}
    assert read_requirements("numpy\n-r r.txt", files.get) == Requirements(
        ("numpy", "pandas"), ("numpy<2", "scipy<1.14")
    )


def test_files_at_a_url_are_left_to_pip() -> None:
    text = "-r https://h/r.txt\n-c https://h/c.txt"
    assert read_requirements(text, nothing).lines == ("-r https://h/r.txt", "-c https://h/c.txt")


def test_other_options_on_the_line_of_an_include_are_kept() -> None:
    assert read_requirements("-r a.txt --index-url https://h", {"a.txt": "a"}.get).lines == (
        "--index-url https://h",
        "a",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("./local", "./local"), ("numpy\n-e .", "-e ."), ("--editable=git+https://h/x#egg=x", "workspace"),
        ("../up.whl", "../up.whl"),
        ("-f ./wheels", "wheels"), ("--find-links=/srv", "/srv"), ("-r missing.txt", "missing.txt"),
        (".[dev]", "a file or a directory"),
        ("git+file:///x#egg=x", "a file or a directory"), ("ftp://h/x.zip", "scheme"),
        ("https://h/x.whl ;python_version<'3'", "semicolon"), ("-e git+https://h/x#egg=x", "only the address: git"),
        ("-c missing.txt", "missing.txt"), ("-r file:///x", "file:///x"), ("--prefix /usr", "--prefix"), ("-q", "-q"),
        ("numpy --prefix=/x", "--prefix=/x"), ("numpy==1; nonsense", "nonsense"), ("--index-url", "--index-url"),
        ("--pre=yes", "--pre"), ("num\x00py", "control"), ("-r 'unclosed", "unclosed"), ("numpy=1", "numpy=1"),
    ],
)  # fmt: skip
def test_lines_that_a_build_cannot_use_are_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_requirements(text, nothing)
    error = caught.value
    assert said in f"{error.message} {error.why} {error.hint}"


def test_files_that_include_each_other_are_refused() -> None:
    with pytest.raises(UsageError, match="includes itself"):
        read_requirements("-r a.txt", {"a.txt": "-r b.txt", "b.txt": "-c a.txt"}.get)


def test_hashes_are_kept_and_detected() -> None:
    found = read_requirements("numpy==1 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n", nothing)
    assert found.lines == ("numpy==1     --hash=sha256:aa     --hash=sha256:bb",) and found.has_hashes
    assert not read_requirements("numpy @ https://h/n.zip#sha256=aa", nothing).has_hashes


def test_added_packages_replace_those_of_the_same_name() -> None:
    text = "# mine\nNumPy<2  # old code\n\nscikit_learn\n-i https://h\npandas"
    assert add_packages(text, ["numpy>=2", "Scikit-Learn[x]>1", "torch"]) == (
        "# mine\nnumpy>=2  # old code\n\nScikit-Learn[x]>1\n-i https://h\npandas\ntorch\n"
    )


def test_duplicate_lines_are_replaced_by_a_single_one() -> None:
    text = 'a; python_version<"3.9"\nb\na>2; python_version>="3.9"\n'
    assert add_packages(text, ["a==3"]) == "a==3\nb\n"
    assert add_packages("b\n", ['a<1; python_version<"3.9"', 'a>2; python_version>="3.9"']) == (
        'b\na<1; python_version<"3.9"\na>2; python_version>="3.9"\n'
    )


def test_a_repository_is_replaced_by_its_other_revision() -> None:
    assert add_packages("git+https://h/o/r@v1\n", ["git+https://h/o/r@v2"]) == "git+https://h/o/r@v2\n"
    assert add_packages("git+https://h/o/r@v1#egg=tool\n", ["tool==2"]) == "tool==2\n"


def test_continued_last_line_does_not_swallow_an_added_one() -> None:
    assert read_requirements(add_packages("numpy \\", ["torch"]), nothing).lines == ("numpy", "torch")
    assert add_packages("", ["torch"]) == "torch\n"


def test_multi_line_requirement_is_replaced_completely() -> None:
    assert add_packages("a==1 \\\n  --hash=sha256:aa\nb\n", ["a==2"]) == "a==2\nb\n"


def test_invalid_requirement_is_not_added() -> None:
    for bad in ("--index-url https://h", "a\nb", "./x"):
        with pytest.raises(UsageError):
            add_packages("numpy\n", [bad])


def test_removed_packages_are_gone_and_unknown_ones_are_named() -> None:
    text = "# mine\nNumPy<2 \\\n  # goes on\n\nscikit_learn\n# end"
    assert remove_packages(text, ["numpy", "Scikit.Learn", "torch"]) == ("# mine\n\n# end", ("torch",))
    assert remove_packages(text, []) == (text, ())
    assert remove_packages("a==1\nb", ["a>=3"]) == ("b", ())


def test_windows_line_ends_stay() -> None:
    assert remove_packages("a\r\nb\r\n# c\r\n", ["a"]) == ("b\r\n# c\r\n", ())


def test_a_whole_file_is_merged_with_its_options_and_constraints() -> None:
    extra = Requirements(("-i https://h", "numpy==2", "new"), ("scipy<2",))
    text, files = merge_requirements("# mine\nnumpy\n", extra, "thesis")
    assert text == "# mine\nnumpy==2\n-c thesis.constraints.txt\n-i https://h\nnew\n"
    assert files == {"thesis.constraints.txt": "scipy<2\n"}
    assert merge_requirements(text, extra, "thesis") == (text, files)


def test_provided_packages_are_omitted_unless_pinned() -> None:
    asked = ("Torch", "torchvision>=0.2", "pandas", "torch[x]", "numpy")
    assert without_provided(asked, ["torch", "torchvision", "NumPy"]) == (
        ("torchvision>=0.2", "pandas", "torch[x]"),
        ("Torch", "numpy"),
    )


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        ("Scikit_Learn[x]>=1", "scikit-learn"), ("a @ https://h/x", "a"),
        ("https://h/My_Pkg-1.0-py3-none-any.whl", "my-pkg"),
        ("https://h/my-pkg-1.0.tar.gz", "my-pkg"), ("git+https://h/o/r.git@main", "git+https://h/o/r.git"),
        ("git+https://h/o/r#egg=Tool[x]", "tool"), ("-r x.txt", None), ("", None),
        ("numpy==1 --hash=sha256:aa", "numpy"),
    ],
)  # fmt: skip
def test_the_name_of_a_requirement(requirement: str, name: str | None) -> None:
    assert requirement_name(requirement) == name


@pytest.mark.parametrize(
    "line",
    [
        'https://h/x-1-py3-none-any.whl ; python_version < "3.9"', "https://h/x.zip; sys_platform == 'linux'",
        'git+https://h/o/r@v1 ; python_version < "3.9"', "git+https://h/o/r@v1#egg=x ; extra == 'y'",
        "https://h/o/zipball/main", "name @ https://h/x.whl ; python_version<'3'", "--extra-index https://h",
        "--pypi-url https://h", "--index=https://h", "--trusted h", "--prefer", "numpy==1 --config-settings=a=b",
        "--index-url=https://h/simple?key=value", "--find-links=https://h/wheels?channel=x", "numpy===1.0",
    ],
)  # fmt: skip
def test_valid_requirements_pass_unchanged(line: str) -> None:
    assert read_requirements(line, nothing).lines == (line,)


def test_url_with_an_invalid_marker_is_refused() -> None:
    with pytest.raises(UsageError, match="marker"):
        read_requirements("https://h/x.whl ; python_version <", nothing)


def test_name_of_a_url_with_a_marker() -> None:
    assert requirement_name('https://h/x-1-py3-none-any.whl ; python_version < "3.9"') == "x"


def test_build_options_belong_on_the_command_line() -> None:
    with pytest.raises(UsageError) as caught:
        read_requirements("--no-build-isolation\nflash-attn", nothing)
    assert "--no-build-isolation" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"numpy # \xc3\xa4", "numpy # ä"), (b"\xef\xbb\xbfnumpy", "numpy"), ("numpy\n".encode("utf-16"), "numpy\n"),
        (b"\xfe\xff" + "numpy".encode("utf-16-be"), "numpy"), ("numpy".encode("utf-32"), "numpy"),
        (b"# -*- coding: latin-1 -*-\nx # \xe4", "# -*- coding: latin-1 -*-\nx # ä"),
        (b"#\n# vim: set fileencoding=cp1252 :\n# \x80", "#\n# vim: set fileencoding=cp1252 :\n# €"),
        (b"", ""),
    ],
)  # fmt: skip
def test_encoding_is_detected_as_by_pip(content: bytes, text: str) -> None:
    decoded = decode_requirements(content)
    assert decoded.text == text
    assert decode_requirements(decoded.encode(f"{text}\nx")).text == f"{text}\nx"


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a\nb # \xe4", "line 2"), (b"# coding: nonsense\na", "nonsense"), (b"# coding: ascii\n\n\xe4", "line 3")],
)
def test_wrong_encoding_names_the_line(content: bytes, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        decode_requirements(content)
    assert said in f"{caught.value.message} {caught.value.why}"


def test_text_outside_the_files_encoding_is_refused() -> None:
    with pytest.raises(UsageError, match="latin-1"):
        decode_requirements(b"# coding: latin-1\n").encode("€")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\nchannels:\n  - defaults\ndependencies:\n  - numpy\n", "conda environment"),
        ("dependencies:\n- pip:\n  - torch\n", "conda environment"),
        ("# platform: linux-64\n_libgcc_mutex=0.1=main\nnumpy=1.26=py311_0\n", "conda packages"),
        ("@EXPLICIT\nhttps://repo.anaconda.com/pkgs/x.conda\n", "conda packages"),
        ("numpy @ file:///croot/numpy/work\nscipy @ file:///x\ntorch==2\n", "2 of the requirements"),
        ("numpy==1\npkg_resources==0.0.0\n", "pkg_resources"), ("pkg-resources==0.0.0\n", "pkg_resources"),
        ('[project]\nname = "x"\ndependencies = ["numpy"]\n', "describes a project"),
        ('[[source]]\nurl = "https://index.example/simple"\n', "describes a project"),
        ("from setuptools import setup\nsetup(name='x')\n", "describes a project"),
    ],
)  # fmt: skip
def test_other_file_kinds_are_named(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_requirements(text, nothing)
    assert said in caught.value.message and caught.value.hint
