//! What runs, and what each must have written: known here from the scripts
//! alone, and never asked of those who run them.

use serde_json::{Value, json};

/// Bytes of stdout that are kept of a script that writes too many.
const FLOOD_KEPT: usize = 64 * 1024;

/// Seconds that a script has that ignores TERM.
pub(crate) const STUBBORN_SECONDS: f64 = 1.0;

/// Seconds that a script sleeps which is to be cancelled: longer than a run is
/// waited for.
const SLEEPER_SECONDS: u32 = 600;

/// Begins every script that writes into the ledger: one line for each start.
const LEDGER_LINE: &str = "echo \"$EXECUTION_ID\" >> /ledger/starts\n";

/// Kinds of scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    Quick,
    Steps,
    Long,
    Chatty,
    Flood,
    Silent,
    Failing,
    Forking,
    Hungry,
    Stubborn,
    Sleeper,
    Artifact,
    OutputFile,
    Python,
}

use Kind::{
    Artifact, Chatty, Failing, Flood, Forking, Hungry, Long, OutputFile, Python, Quick, Silent,
    Sleeper, Steps, Stubborn,
};

/// What an execution must have become where nothing went wrong.
pub(crate) struct Expected {
    pub(crate) status: &'static str,
    pub(crate) error_kind: Option<&'static str>,
    pub(crate) exit_code: Option<i64>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Bytes of stdout that are kept, when that is not all.
    pub(crate) kept: Option<usize>,
    pub(crate) output: Option<Value>,
    pub(crate) artifact: Option<(&'static str, String)>,
}

impl Kind {
    pub(crate) const ALL: [Self; 14] = [
        Quick, Steps, Long, Chatty, Flood, Silent, Failing, Forking, Hungry, Stubborn, Sleeper,
        Artifact, OutputFile, Python,
    ];

    /// The script's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Quick => "quick",
            Steps => "steps",
            Long => "long",
            Chatty => "chatty",
            Flood => "flood",
            Silent => "silent",
            Failing => "failing",
            Forking => "forking",
            Hungry => "hungry",
            Stubborn => "stubborn",
            Sleeper => "sleeper",
            Artifact => "artifact",
            OutputFile => "output-file",
            Python => "python",
        }
    }

    /// How often it comes, beside the others.
    pub(crate) fn weight(self) -> u32 {
        match self {
            Quick => 6,
            Steps | Long | Python => 4,
            Chatty => 3,
            _ => 2,
        }
    }

    /// Whether it writes its starts into the ledger. What has mounts never runs in
    /// a sandbox of the pool, so some have none.
    pub(crate) fn is_in_ledger(self) -> bool {
        matches!(self, Steps | Long | Silent | Failing | Forking | Stubborn | Sleeper | OutputFile)
    }

    /// A number between these is the request's argument.
    pub(crate) fn sizes(self) -> (u32, u32) {
        match self {
            Long => (10, 50),
            Sleeper => (SLEEPER_SECONDS, SLEEPER_SECONDS),
            Chatty => (100, 20_000),
            Steps => (1, 10),
            _ => (1, 1000),
        }
    }

    /// What is sent to register it.
    pub(crate) fn registration(self, ledger: &str) -> Value {
        let mut source = self.source().to_owned();
        let mut script = json!({"name": self.name(), "script_type": self.script_type()});
        if self.is_in_ledger() {
            script["mounts"] = json!([{"source": ledger, "target": "/ledger", "read_only": false}]);
            source = match self {
                OutputFile => format!("{PYTHON_LEDGER}{source}"),
                _ => format!("{LEDGER_LINE}{source}"),
            };
        }
        script["source"] = json!(source);
        match self {
            Flood => script["limits"] = json!({"output_bytes": FLOOD_KEPT}),
            Hungry => {
                script["limits"] = json!({"memory_bytes": 64 << 20, "scratch_bytes": 16 << 20});
            }
            Stubborn => script["timeout_secs"] = json!(STUBBORN_SECONDS),
            Sleeper => script["timeout_secs"] = json!(2 * SLEEPER_SECONDS),
            OutputFile => script["output_file"] = json!("result.json"),
            _ => {}
        }
        script
    }

    fn script_type(self) -> &'static str {
        match self {
            Hungry | OutputFile | Python => "python",
            _ => "shell",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Quick => "echo began\necho \"$EXECUTION_ID\" \"$1\"\n",
            Steps => {
                "echo began\nfor i in $(seq 1 \"$1\"); do echo \"step $i\"; sleep 0.05; done\n"
            }
            Long => "echo began\nfor i in $(seq 1 \"$1\"); do echo \"tick $i\"; sleep 0.1; done\n",
            Chatty => "echo began\nseq 1 \"$1\"\nseq 1 \"$1\" >&2\necho ended\n",
            Flood => "echo began\nseq 1 50000\n",
            Silent => "sleep 0.3\n",
            Failing => "echo began\necho wrong >&2\nexit 7\n",
            Forking => {
                "echo began\nfor i in $(seq 1 20); do sleep 600 >/dev/null 2>&1 & done\n\
                 echo forked\n"
            }
            Hungry => {
                "print('began', flush=True)\nheld = []\n\
                 while True: held.append(bytearray(b'x') * (4 << 20))\n"
            }
            Stubborn => {
                "trap '' TERM\necho began\nwhile :; do\n\
                 echo \"$EXECUTION_ID $(date +%s.%N)\" >> /ledger/beats; sleep 0.05; done\n"
            }
            Sleeper => "echo began\nsleep \"$1\"\n",
            Artifact => "echo began\nmkdir -p out\nseq 1 \"$1\" > out/numbers\n",
            OutputFile => {
                "print('began', flush=True)\n\
                 json.dump({'size': int(sys.argv[1])}, open('result.json', 'w'))\n"
            }
            Python => {
                "import sys, os\nprint('began')\n\
                 for i in range(int(sys.argv[1])): print(i, os.environ['EXECUTION_ID'])\n"
            }
        }
    }

    /// What it must have become where nothing went wrong.
    pub(crate) fn expected(self, id: &str, size: u32) -> Expected {
        let began = "began\n".to_owned();
        let lines = |word: &str| -> String { (1..=size).map(|i| format!("{word}{i}\n")).collect() };
        let completed = |stdout: String| Expected {
            status: "completed",
            error_kind: None,
            exit_code: Some(0),
            stdout,
            stderr: String::new(),
            kept: None,
            output: None,
            artifact: None,
        };
        match self {
            Quick => completed(format!("began\n{id} {size}\n")),
            Steps => completed(began + &lines("step ")),
            Long => completed(began + &lines("tick ")),
            Chatty => {
                Expected { stderr: lines(""), ..completed(format!("began\n{}ended\n", lines(""))) }
            }
            Flood => {
                let all: String = (1..=50_000).map(|i| format!("{i}\n")).collect();
                Expected { kept: Some(FLOOD_KEPT), ..completed(began + &all) }
            }
            Silent => completed(String::new()),
            Failing => Expected {
                stderr: "wrong\n".to_owned(),
                exit_code: Some(7),
                ..failed("exit_nonzero", began)
            },
            Forking => completed("began\nforked\n".to_owned()),
            Hungry => failed("out_of_memory", began),
            Stubborn => Expected { status: "timeout", error_kind: None, ..failed("", began) },
            // It never ends by itself.
            Sleeper => Expected { status: "cancelled", error_kind: None, ..failed("", began) },
            Artifact => Expected { artifact: Some(("numbers", lines(""))), ..completed(began) },
            OutputFile => Expected { output: Some(json!({"size": size})), ..completed(began) },
            Python => {
                let all: String = (0..size).map(|i| format!("{i} {id}\n")).collect();
                completed(began + &all)
            }
        }
    }
}

const PYTHON_LEDGER: &str = "import json, os, sys\n\
     with open('/ledger/starts', 'a') as ledger: ledger.write(os.environ['EXECUTION_ID'] + '\\n')\n";

fn failed(error_kind: &'static str, stdout: String) -> Expected {
    Expected {
        status: "failed",
        error_kind: Some(error_kind),
        exit_code: None,
        stdout,
        stderr: String::new(),
        kept: None,
        output: None,
        artifact: None,
    }
}
