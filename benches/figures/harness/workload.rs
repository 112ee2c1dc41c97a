//! The scripts that are run, each in every way there is: all of them read one JSON
//! document and print the same.

use gantry::domain::script_type::ScriptType;

/// What every script reads, and prints.
pub(crate) const INPUT: &str = r#"{"a":1}"#;

/// A script, and what it needs.
pub(crate) struct Workload {
    /// Its name on servers and in charts.
    pub(crate) name: &'static str,
    /// What it does, for tables.
    pub(crate) title: &'static str,
    pub(crate) script_type: ScriptType,
    pub(crate) source: &'static str,
    pub(crate) requirements: Option<&'static str>,
    /// How the same is started in its image without Gantry.
    pub(crate) command: [&'static str; 3],
}

pub(crate) static SHELL: Workload = Workload {
    name: "shell",
    title: "shell, `cat`",
    script_type: ScriptType::Shell,
    source: CAT,
    requirements: None,
    command: ["/bin/bash", "-c", "exec cat"],
};

pub(crate) static PYTHON: Workload = Workload {
    name: "python",
    title: "Python, echo",
    script_type: ScriptType::Python,
    source: ECHO,
    requirements: None,
    command: ["/usr/bin/python3", "-c", ECHO],
};

pub(crate) static PICTURE: Workload = Workload {
    name: "picture",
    title: "Python, numpy and Pillow",
    script_type: ScriptType::Python,
    source: RESIZE,
    requirements: Some("numpy\npillow\n"),
    command: ["/opt/env/bin/python", "-c", RESIZE],
};

/// All of them.
pub(crate) static WORKLOADS: [&Workload; 3] = [&SHELL, &PYTHON, &PICTURE];

const CAT: &str = "#!/bin/bash\nexec cat\n";

const ECHO: &str = "\
import json
import sys

json.dump(json.load(sys.stdin), sys.stdout, separators=(',', ':'))
";

const RESIZE: &str = "\
import json
import sys

import numpy
from PIL import Image

value = json.load(sys.stdin)['a']
picture = Image.fromarray(numpy.full((64, 64, 3), value, numpy.uint8)).resize((8, 8))
brightest = int(numpy.asarray(picture).max())
json.dump({'a': brightest}, sys.stdout, separators=(',', ':'))
";
