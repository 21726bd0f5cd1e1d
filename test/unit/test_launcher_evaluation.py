"""Launch files turned into processes, by the rules of `ros2 launch`."""

from pathlib import Path

import pytest

from vla_ros.core.errors import ConfigError
from vla_ros.launcher.arguments import declared_arguments, default_text
from vla_ros.launcher.evaluation import ProcessSpec, combined_namespace, load_processes
from vla_ros.launcher.parameters import parameter_text


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """An install prefix with one package, `arms`, that has one executable, `mover`."""
    index = tmp_path / "prefix/share/ament_index/resource_index/packages"
    index.mkdir(parents=True)
    (index / "arms").touch()
    executable = tmp_path / "prefix/lib/arms/mover"
    executable.parent.mkdir(parents=True)
    executable.write_text("#!/bin/sh\n")
    executable.chmod(0o755)
    return tmp_path / "prefix"


@pytest.fixture
def load(tmp_path: Path, prefix: Path):
    def load(body: str, **arguments: str) -> list[ProcessSpec]:
        path = tmp_path / "main.launch.xml"
        path.write_text(f"<launch>\n{body}\n</launch>")
        return load_processes(path, arguments, {"AMENT_PREFIX_PATH": str(prefix), "LANG": "C"})

    return load


def test_a_node_gets_its_ros_arguments_in_order(load, prefix: Path, tmp_path: Path) -> None:
    parameters = tmp_path / "p.yaml"
    parameters.write_text("{}")
    (process,) = load(
        f"""<set_parameter name="use_sim_time" value="true"/>
        <set_remap from="tf" to="/tf"/>
        <node pkg="arms" exec="mover" name="left_mover" namespace="left" args="--fast 'two words'" output="screen">
          <param name="gain" value="1.5"/><param from="{parameters}"/>
          <remap from="in" to="out"/><env name="MODE" value="test"/>
        </node>"""
    )
    assert process.name == "left/left_mover"
    expected = f"""{prefix}/lib/arms/mover --fast|two words --ros-args -r __node:=left_mover -r __ns:=/left
        -p use_sim_time:=true -p gain:=1.5 --params-file {parameters} -r tf:=/tf -r in:=out""".split()
    assert list(process.command) == [word for part in expected[:2] for word in part.split("|")][:2] + ["two words", *expected[3:]]
    assert process.environment["MODE"] == "test"
    assert process.environment["LANG"] == "C"
    assert process.on_screen


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("run $(var two)", ["run", "two words"]),
        ("run --name=$(var two) -x", ["run", "--name=two words", "-x"]),
        ("$(var one)$(var one) $(var one)", ["11", "1"]),
        ("run 'a  b' $(var none) &quot;c&quot;", ["run", "a  b", "", "c"]),
    ],
)
def test_a_substitution_stays_one_word(load, command: str, words: list[str]) -> None:
    variables = '<let name="two" value="two words"/><let name="one" value="1"/><let name="none" value=""/>'
    (process,) = load(f'{variables}<executable cmd="{command}"/>')
    assert list(process.command) == words


def test_options_reach_the_process(load) -> None:
    (process,) = load('<executable cmd="sleep 1" respawn="true" respawn_delay="0.5" respawn_max_retries="2" cwd="/" on_exit="shutdown"/>')
    assert (process.respawn, process.respawn_delay_s, process.respawn_max_retries) == (True, 0.5, 2)
    assert (process.cwd, process.shutdown_on_exit, process.on_screen) == (Path("/"), True, False)


@pytest.mark.parametrize(
    ("condition", "count"), [('if="true"', 1), ('if="$(var on)"', 0), ('unless="$(var on)"', 1), ("if=\"$(eval '$(var n) > 1')\"", 1)]
)
def test_conditions_decide(load, condition: str, count: int) -> None:
    body = f'<arg name="on" default="false"/><arg name="n" default="2"/><executable cmd="true" {condition}/>'
    assert len(load(body)) == count


def test_a_scoped_group_puts_everything_back(load) -> None:
    body = """<let name="x" value="outer"/>
      <group {scoped}>
        <let name="x" value="inner"/><set_env name="E" value="inner"/><push_ros_namespace namespace="ns"/>
        <node pkg="arms" exec="mover" name="a"/>
      </group>
      <node pkg="arms" exec="mover" name="b" args="$(var x)"/>"""
    inside, outside = load(body.format(scoped=""))
    assert (inside.name, outside.name) == ("ns/a", "b")
    assert outside.command[1] == "outer"
    assert "E" in inside.environment
    assert "E" not in outside.environment
    _, leaked = load(body.format(scoped='scoped="false"'))
    assert (leaked.name, leaked.command[1]) == ("ns/b", "inner")


def test_an_included_file_gets_arguments_and_leaves_its_own_behind(load, tmp_path: Path) -> None:
    (tmp_path / "inner.launch.xml").write_text(
        """<launch><arg name="speed"/><arg name="extra" default="e"/><executable cmd="echo $(var speed) $(dirname)"/></launch>"""
    )
    body = """<include file="$(dirname)/inner.launch.xml"><arg name="speed" value="0.5"/></include>
      <executable cmd="echo $(var speed) $(var extra)"/>"""
    inner, outer = load(body)
    assert inner.command == ("echo", "0.5", str(tmp_path))
    assert outer.command == ("echo", "0.5", "e")  # as ros2 launch does without a group


def test_processes_of_one_name_are_told_apart(load) -> None:
    assert [process.name for process in load('<executable cmd="true"/>' * 3)] == ["true", "true-2", "true-3"]


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        ("<nod pkg='a' exec='b'/>", 2, "Did you mean 'node'"),
        ("<node exec='mover'/>", 2, "needs the attribute 'pkg'"),
        ("\n<node pkg='arms' exec='mover' nmae='x'/>", 3, "Unknown attribute 'nmae'.*Did you mean 'name'"),
        ("<node pkg='arm' exec='mover'/>", 2, "Unknown package 'arm'; valid: arms"),
        ("<node pkg='arms' exec='move'/>", 2, "Unknown executable of package arms 'move'; valid: mover"),
        ("<node pkg='arms' exec='mover'><param name='a'/></node>", 2, "needs the attribute 'value'"),
        ("<node pkg='arms' exec='mover'><param from='/no.yaml'/></node>", 2, "no parameter file /no.yaml"),
        ("<node pkg='arms' exec='mover'><param name='a' value='x' type='int'/></node>", 2, "not of type int"),
        ("<arg name='a'/>", 2, "'a' has no default; give it as a:=VALUE"),
        ("<arg name='a' default='x'><choice value='y'/></arg>", 2, "'x'; valid: y"),
        ("<executable cmd='true' if='perhaps'/>", 2, "'perhaps' is neither true nor false"),
        ("<executable cmd='true' if='1' unless='1'/>", 2, "both 'if' and 'unless'"),
        ("<executable cmd='true' on_exit='restart'/>", 2, "valid: shutdown"),
        ("<executable cmd='true' respawn_delay='soon'/>", 2, "not a number"),
        ("<executable cmd='sh -c &quot;$(env LANG)&quot;'/>", 2, "cannot reach across a substitution"),
        ("<executable cmd='true' output='loud'/>", 2, "valid: both, log, screen"),
        ("<include file='x.launch.xml'/>", 2, r"\$\(dirname\)/x.launch.xml"),
        ("<include file='$(dirname)/none.launch.xml'/>", 2, "Cannot read the launch file"),
        ("<include file='$(filename)'/>", 2, "including itself"),
        ("<group>\n<let name='a' value='$(var b)'/></group>", 3, "Unknown launch argument or variable 'b'"),
        ("<let name='a' value='b'/>stray", 2, "stands outside"),
        ("<let name='a' value='b'>", 3, "mismatched tag"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_line(load, body: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"main\.launch\.xml:{line}: .*{message}"):
        load(body)


def test_an_unknown_argument_is_refused_and_one_of_a_branch_not_taken_is_not(load) -> None:
    body = '<arg name="speed" default="1"/><group if="false"><arg name="hidden" default="1"/></group>'
    assert load(body, hidden="2") == []
    with pytest.raises(ConfigError, match=r"Unknown launch argument 'sped'.*Did you mean 'speed'"):
        load(body, sped="2")


def test_arguments_are_listed_with_those_of_included_files(tmp_path: Path) -> None:
    (tmp_path / "b.launch.xml").write_text('<launch><arg name="filled"/><arg name="open"/></launch>')
    main = tmp_path / "a.launch.xml"
    main.write_text(
        """<launch><arg name="n" default="$(env N 'a b')" description="how many"/>
        <group if="false"><include file="$(dirname)/b.launch.xml"><arg name="filled" value="1"/></include></group></launch>"""
    )
    number, still_open = declared_arguments(main, {})
    assert (number.name, default_text(number), number.description) == ("n", "$(env N a b)", "how many")
    assert (still_open.name, default_text(still_open)) == ("open", None)


@pytest.mark.parametrize(
    ("base", "namespace", "expected"),
    [
        (None, None, None),
        (None, "a", "/a"),
        ("/a", None, "/a"),
        ("/a", "b", "/a/b"),
        ("/a", "/b", "/b"),
        ("/", "b", "/b"),
        ("a/", "b/", "/a/b"),
    ],
)
def test_namespaces_nest_unless_absolute(base: str | None, namespace: str | None, expected: str | None) -> None:
    assert combined_namespace(base, namespace) == expected


@pytest.mark.parametrize(
    ("text", "kind", "written"),
    [
        ("1", "", "1"),
        ("1.0", "", "1.0"),
        ("1", "float", "1.0"),
        ("true", "", "true"),
        ("panda", "", '"panda"'),
        ("'1'", "", '"1"'),
        ("1", "str", '"1"'),
        ("", "", '""'),
        ('say "hi": \\', "str", '"say \\"hi\\": \\\\"'),
        ("[1.0, 2.5]", "", "[1.0, 2.5]"),
        ("[left, right]", "", '["left", "right"]'),
    ],
)
def test_parameters_keep_their_type(text: str, kind: str, written: str) -> None:
    assert parameter_text(text, kind) == written


@pytest.mark.parametrize(("text", "kind"), [("{a: 1}", ""), ("x", "float"), ("1.5", "int"), ("1", "bool"), ("[[1]]", "")])
def test_a_parameter_of_another_type_is_refused(text: str, kind: str) -> None:
    with pytest.raises(ConfigError):
        parameter_text(text, kind)
