//! Warm-ups on the real engine: caches that executions find and can add to, and what
//! becomes of a command that fails or harms.

use gantry::domain::environment::EnvironmentSpec;
use gantry::domain::script::Script;
use gantry::domain::script_type::ScriptType;
use gantry::domain::script_type::python::requirements::{Requirements, RequirementsPolicy};
use gantry::domain::warm_up::WarmUp;
use gantry::images::{ImageError, ImageState};
use std::time::Duration;

use crate::testkit::image_fixture::ImageFixture;

fn warmed(script: &Script, command: &[&str], requirements: Option<&str>) -> EnvironmentSpec {
    let command: Vec<_> = command.iter().map(|it| (*it).to_owned()).collect();
    let parse = |text| Requirements::parse(text, RequirementsPolicy::default()).unwrap();
    EnvironmentSpec {
        requirements: requirements.map(parse),
        warm_up: WarmUp::of(&command, script),
        ..EnvironmentSpec::plain(script.script_type())
    }
}

fn script(name: &str, source: &str) -> Script {
    Script::new(name, None, source.as_bytes().to_vec()).unwrap()
}

/// Says what it finds, writes what it lacks, and adds to it.
const KEEP: &str = "
mkdir -p .cache/a
cat .cache/a/one 2>/dev/null || echo none
echo one >.cache/a/one.new && mv .cache/a/one.new .cache/a/one
[ -e .cache/a/two ] || echo two >.cache/a/two
echo three >.cache/a/three && rm .cache/a/three
echo dropped >out/dropped
";

#[tokio::test]
async fn a_script_finds_what_its_warm_up_left_and_can_write_beside_it() {
    let fixture = ImageFixture::new();
    let keep = script("keep.sh", KEEP);
    let spec = warmed(&keep, &["bash", "keep.sh"], None);
    let first = fixture.prepare(&spec, None).await.unwrap();
    assert!(first.built && first.image.tags[0].starts_with("gantry/warm-up:"), "{first:?}");
    for _ in 0..2 {
        let ran = fixture.run(&keep, &spec).await;
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("one\n", ""), "{ran:?}");
    }
    // Without its warm-up it finds nothing.
    let ran = fixture.run(&keep, &EnvironmentSpec::plain(ScriptType::Shell)).await;
    assert_eq!(ran.stdout, "none\n", "{ran:?}");
    // Outputs of the warm-up are no script's.
    let found =
        fixture.output_of(&first.image.id, &["/usr/bin/find", "/opt/warm-up", "-type", "f"]);
    assert!(
        found.contains("/opt/warm-up/work/.cache/a/two") && !found.contains("dropped"),
        "{found}"
    );
}

#[tokio::test]
async fn other_bytes_or_another_command_are_another_warm_up() {
    let fixture = ImageFixture::new();
    let (one, two) = (script("x.sh", "echo 1 >one"), script("x.sh", "echo 2 >one"));
    for spec in [
        warmed(&one, &["sh", "x.sh"], None),
        warmed(&two, &["sh", "x.sh"], None),
        warmed(&one, &["sh", "x.sh", ""], None),
    ] {
        assert!(fixture.prepare(&spec, None).await.unwrap().built, "{spec:?}");
    }
}

/// Compiles a function, and says whether it had to.
const NUMBA: &str = "
import numba
@numba.njit(cache=True)
def triangle(n):
    total = 0
    for i in range(n):
        total += i
    return total
triangle(10)
print(sum(triangle.stats.cache_hits.values()), sum(triangle.stats.cache_misses.values()))
";

#[tokio::test]
async fn compiled_functions_of_the_script_itself_are_loaded() {
    let fixture = ImageFixture::new();
    let triangle = script("triangle.py", NUMBA);
    let spec = warmed(&triangle, &["python3", "triangle.py"], Some("numba"));
    let ran = fixture.run(&triangle, &spec).await;
    assert_eq!(ran.stdout, "1 0\n", "{ran:?}");
}

/// Says whether the list of fonts was made anew.
const FONTS: &str = "
import logging, os
logging.basicConfig(level=logging.INFO)
import matplotlib.font_manager
print(os.path.islink(os.path.join(matplotlib.get_cachedir(), os.listdir(matplotlib.get_cachedir())[0])))
";

#[tokio::test]
async fn the_list_of_fonts_is_not_made_anew() {
    let fixture = ImageFixture::new();
    let fonts = script("fonts.py", FONTS);
    let spec = warmed(&fonts, &["python3", "fonts.py"], Some("matplotlib"));
    let ran = fixture.run(&fonts, &spec).await;
    assert_eq!(ran.stdout, "True\n", "{ran:?}");
    assert!(!ran.stderr.contains("generated new fontManager"), "{ran:?}");
}

#[tokio::test]
async fn a_warm_up_that_fails_is_told_in_its_own_words() {
    let fixture = ImageFixture::new();
    for (source, said) in [
        ("echo no fonts >&2; exit 3", ["exited with code 3", "no fonts"]),
        ("head -c 2G /dev/zero >fill", ["/work", "No space left"]),
        ("mkfifo pipe", ["opt/warm-up/work/pipe", "kind"]),
        ("ln -s /etc/passwd link", ["opt/warm-up/work/link", "outside"]),
        ("touch .wh.x", ["opt/warm-up/work/.wh.x", "would remove"]),
        ("for i in $(seq 11000); do : >$i; done", ["more than", "10000 files"]),
    ] {
        let spec = warmed(&script("x.sh", source), &["bash", "x.sh"], None);
        let error = fixture.prepare(&spec, None).await.unwrap_err();
        assert!(matches!(error, ImageError::WarmUp { .. }), "{error:?}");
        for part in said {
            assert!(error.to_string().contains(part), "{part} is not in: {error}");
        }
        assert!(error.hint().is_some());
    }
}

#[tokio::test]
async fn a_warm_up_has_no_network_and_no_shell() {
    let fixture = ImageFixture::new();
    let source = "{ ls /sys/class/net; printf '%s\\n' \"$*\"; id -u; env; } >seen";
    let look = script("x.sh", source);
    let spec = warmed(&look, &["bash", "x.sh", "$(id)", "a b"], None);
    let image = fixture.prepare(&spec, None).await.unwrap().image.id;
    let seen = fixture.output_of(&image, &["/bin/cat", "/opt/warm-up/work/seen"]);
    assert!(seen.starts_with("lo\n$(id) a b\n") && !seen.contains("\n0\n"), "{seen}");
    assert!(!seen.to_lowercase().contains("proxy"), "{seen}");
}

#[tokio::test]
async fn images_of_warm_ups_go_before_what_they_stand_upon() {
    let fixture = ImageFixture::new();
    let keep = script("keep.py", "open('one', 'w')");
    let spec = warmed(&keep, &["python3", "keep.py"], Some("iniconfig==2.0.0"));
    fixture.prepare(&spec, None).await.unwrap();
    let library = fixture.library();
    let listed = library.list().await.unwrap();
    assert!(listed.iter().filter(|it| it.is_ours).all(|it| it.standing == ImageState::Current));
    let prunable = library.prunable(Duration::ZERO).await.unwrap();
    let roles: Vec<_> = prunable.iter().map(|it| it.listed.role.as_str()).collect();
    assert_eq!(roles, ["warm-up", "environment"]);
    for prunable in &prunable {
        library.prune(prunable).await.unwrap();
    }
}
