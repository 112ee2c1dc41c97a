//! `gantry run` of a folder: what a script of many files finds of itself, for each type.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::testkit::elf::Elf;
use crate::testkit::home::ensure_images;
use crate::testkit::run::Run;

/// `gantry run` of a folder with these files; those with a `#!` line may be executed.
fn folder(files: &[(&str, &[u8])]) -> Run {
    ensure_images();
    let run = Run::command(&["run"]);
    let folder = run.folder().join("bundle");
    for (path, content) in files {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        if content.starts_with(b"#!") || content.starts_with(b"\x7fELF") {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    run.arg(folder)
}

#[test]
fn a_shell_script_finds_its_own_files() {
    let main = b"#!/bin/bash\nsource \"$(dirname \"$0\")/lib.sh\"\n\
        echo \"$0 ${BASH_SOURCE[0]} $PWD $GANTRY_BUNDLE $1\"; hello; \"$GANTRY_BUNDLE/bin/tool\"\n\
        stat -c '%u %a' \"$0\" \"$(dirname \"$0\")/lib.sh\"; touch /opt/bundle/x 2>/dev/null || echo no\n";
    let run = folder(&[
        ("main.sh", main),
        ("lib.sh", b"hello() { echo \"hello from ${BASH_SOURCE[0]}\"; }\n"),
        ("bin/tool", b"#!/bin/sh\necho \"$0\"\n"),
    ]);
    let ended = run.arg("--arg=a b").end().with_success();
    let expected = "/opt/bundle/main.sh /opt/bundle/main.sh /work /opt/bundle a b\n\
        hello from /opt/bundle/lib.sh\n/opt/bundle/bin/tool\n0 555\n0 444\nno\n";
    assert_eq!(ended.text(), expected);
}

#[test]
fn a_python_script_imports_its_own_modules() {
    let modules: [(&str, &[u8]); 5] = [
        ("helper.py", b"import __main__\nX = 1\n"),
        ("grade/__init__.py", b""),
        (
            "grade/lut.py",
            b"from pathlib import Path\nL = Path(__file__).with_name('l.txt').read_text()\n",
        ),
        ("grade/l.txt", b"lut"),
        ("broken.py", b"this is no Python"),
    ];
    let show = "print(__file__, __package__, L, helper.__cached__, sys.argv[1:], sys.path[0])\n";
    let main = format!("import sys\nimport helper\nfrom grade.lut import L\n{show}");
    let module = format!("import sys\nimport helper\nfrom .lut import L\n{show}");
    let tool = format!("import sys\nimport helper\nfrom grade.lut import L\n{show}");
    let own: [(&str, &[u8]); 3] = [
        ("main.py", main.as_bytes()),
        ("grade/__main__.py", module.as_bytes()),
        ("tools/deep.py", tool.as_bytes()),
    ];
    let files = [modules.as_slice(), &own].concat();
    let cached = "/opt/bundle/__pycache__/helper.cpython-313.pyc";
    for (entry, file, package, first) in [
        ("main.py", "main.py", "None", "/opt/bundle"),
        ("grade/__main__.py", "grade/__main__.py", "grade", "/work"),
        ("tools/deep.py", "tools/deep.py", "None", "/opt/bundle/tools"),
    ] {
        let ended = folder(&files).args(["--entry", entry, "--arg=x"]).end().with_success();
        let expected = format!("/opt/bundle/{file} {package} lut {cached} ['x'] {first}\n");
        assert_eq!(ended.text(), expected);
    }
    // It was compiled when the image was made, and nothing was run for that.
    let looks = b"import os; print(sorted(os.listdir('/opt/bundle/__pycache__')))\n";
    let ended = folder(&[files.as_slice(), &[("look.py", looks)]].concat());
    let ended = ended.args(["--entry", "look.py"]).end().with_success();
    assert_eq!(
        ended.text(),
        "['helper.cpython-313.pyc', 'look.cpython-313.pyc', 'main.cpython-313.pyc']\n"
    );
}

#[test]
fn a_program_has_a_real_path() {
    let tool = Elf::exiting_with(7).bytes();
    folder(&[("bin/tool", &tool), ("data", b"x")]).args(["--entry", "bin/tool"]).end().with(7, &[]);
    let run = folder(&[("bin/tool", &tool)]);
    fs::set_permissions(run.folder().join("bundle/bin/tool"), fs::Permissions::from_mode(0o644))
        .unwrap();
    run.args(["--entry", "bin/tool"]).end().with(125, &["not executable", "chmod +x"]);
}

/// Says where it is, loads a library beside itself, reads a file there, and starts itself again.
const PROGRAM: &str = r#"
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <unistd.h>
extern "C" int answer();
int main(int argc, char **argv) {
  namespace fs = std::filesystem;
  fs::path self = fs::canonical("/proc/self/exe");
  std::string text;
  std::ifstream(self.parent_path() / "data.txt") >> text;
  std::cout << argv[0] << " " << self.string() << " " << fs::canonical(argv[0]).string() << " "
            << answer() << " " << text << std::endl;
  if (argc == 1) execl("/proc/self/exe", argv[0], "again", (char *)0);
}
"#;

#[test]
fn a_compiled_program_finds_its_libraries_and_itself() {
    let run = folder(&[("data.txt", b"resource")]);
    let bundle = run.folder().join("bundle");
    fs::create_dir(bundle.join("lib")).unwrap();
    let source = |name: &str, text: &str| {
        let file = run.folder().join(name);
        fs::write(&file, text).unwrap();
        file
    };
    let library = source("answer.cpp", "extern \"C\" int answer() { return 42; }");
    let program = source("tool.cpp", PROGRAM);
    let compile = |arguments: &[&str], source: &Path| {
        Command::new("c++").args(["-std=c++17"]).args(arguments).arg(source).status()
    };
    let shared = bundle.join("lib/libanswer.so");
    let Ok(status) = compile(
        &["-shared", "-fPIC", "-Wl,-soname,libanswer.so", "-o", shared.to_str().unwrap()],
        &library,
    ) else {
        println!("skipped: there is no C++ compiler");
        return;
    };
    assert!(status.success());
    let tool = bundle.join("tool");
    let linked = Command::new("c++")
        .args(["-std=c++17", "-Wl,-rpath,$ORIGIN/lib", "-o"])
        .arg(&tool)
        .arg(&program)
        .arg(&shared)
        .status();
    assert!(linked.unwrap().success());
    let ended = run.args(["--entry", "tool"]).end().with_success();
    let line = "/opt/bundle/tool /opt/bundle/tool /opt/bundle/tool 42 resource\n";
    assert_eq!(ended.text(), line.repeat(2));
}

/// Makes a one-file program with PyInstaller, if that can be had here.
fn pyinstaller(folder: &Path) -> Option<Vec<u8>> {
    let succeeds = |command: &mut Command| command.output().is_ok_and(|it| it.status.success());
    let venv = folder.join("venv");
    let made = succeeds(Command::new("python3").args(["-m", "venv"]).arg(&venv))
        && succeeds(Command::new(venv.join("bin/pip")).args(["install", "-q", "pyinstaller==6.*"]));
    if !made {
        println!("skipped: PyInstaller can't be installed here");
        return None;
    }
    let source = "import sys\nprint(sys.frozen, sys.argv[1:], sys._MEIPASS.startswith('/tmp/'))\n";
    fs::write(folder.join("app.py"), source).unwrap();
    let mut command = Command::new(venv.join("bin/pyinstaller"));
    command.args(["--onefile", "--log-level", "ERROR", "app.py"]).current_dir(folder);
    assert!(succeeds(&mut command));
    Some(fs::read(folder.join("dist/app")).unwrap())
}

#[test]
fn a_one_file_program_of_pyinstaller_unpacks_itself() {
    let folder_of_build = tempfile::tempdir().unwrap();
    let Some(app) = pyinstaller(folder_of_build.path()) else { return };
    let guard = Duration::from_secs(180);
    let alone = Run::of("app", &app).within(guard).arg("--arg=x").end().with_success();
    assert_eq!(alone.text(), "True ['x'] True\n");
    let bundled = folder(&[("app", &app)]).within(guard).arg("--arg=y").end().with_success();
    assert_eq!(bundled.text(), "True ['y'] True\n");
}

#[test]
fn what_is_no_bundle_is_refused_before_anything_runs() {
    let run = folder(&[("a.py", b""), ("b.py", b"")]);
    run.end().with(125, &["none of its files is the one to run", "--entry"]);
    let run = folder(&[("a/x.py", b"")]);
    run.args(["--entry", "a"]).end().with(125, &["is a folder"]);
    folder(&[("a.py", b"")]).args(["--entry", "b.py"]).end().with(125, &["no file \"b.py\""]);
    let run = folder(&[("main.py", b"")]);
    symlink("/etc/passwd", run.folder().join("bundle/link")).unwrap();
    run.end().with(125, &["\"link\" is a symbolic link"]);
    let run = folder(&[("main.py", b""), ("Main.py", b"")]);
    run.end().with(125, &["differ in case"]);
    let run = folder(&[("main.sh", b"#!/bin/sh\r\necho\r\n")]);
    run.end().with(125, &["line ends of Windows"]);
    let run = Run::of("main.sh", b"echo");
    run.args(["--entry", "main.sh"]).end().with(125, &["is no folder"]);
}
