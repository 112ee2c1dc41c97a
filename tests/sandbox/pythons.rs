//! Versions of Python and packages from source, built on the real engine.

use gantry::domain::environment::EnvironmentSpec;
use gantry::domain::script::Script;
use gantry::domain::script_type::ScriptType;
use gantry::domain::script_type::python::PythonVersion;
use gantry::domain::script_type::python::requirements::{Requirements, RequirementsPolicy};
use gantry::domain::system_packages::SystemPackages;
use gantry::images::ImageError;

use crate::testkit::image_fixture::ImageFixture;

fn spec(python: Option<PythonVersion>, requirements: Option<&str>) -> EnvironmentSpec {
    let parse = |text| Requirements::parse(text, RequirementsPolicy::default()).unwrap();
    EnvironmentSpec {
        python,
        requirements: requirements.map(parse),
        ..EnvironmentSpec::plain(ScriptType::Python)
    }
}

fn from_source(requirements: &str, packages: &[&str]) -> EnvironmentSpec {
    let policy = RequirementsPolicy { allow_sources: true, ..RequirementsPolicy::default() };
    let packages = packages.iter().map(|name| (*name).to_owned()).collect();
    EnvironmentSpec {
        packages: SystemPackages::new(packages).unwrap(),
        requirements: Some(Requirements::parse(requirements, policy).unwrap()),
        ..EnvironmentSpec::plain(ScriptType::Python)
    }
}

fn script(source: &str) -> Script {
    Script::new("x.py", None, source.as_bytes().to_vec()).unwrap()
}

const SHOW: &str = "import sys, ssl, sqlite3, ctypes; print(*sys.version_info[:2], sys.prefix)";

#[tokio::test]
async fn a_script_runs_on_the_version_that_it_asks_for() {
    let fixture = ImageFixture::new();
    for (version, expected) in [
        (PythonVersion::Python311, "3 11 /opt/env\n"),
        (PythonVersion::Python313, "3 13 /opt/env\n"),
    ] {
        let ran = fixture.run(&script(SHOW), &spec(Some(version), None)).await;
        assert_eq!(ran.stdout, expected, "{ran:?}");
    }
    // Without one it is the base image's, as it ever was.
    let ran = fixture.run(&script(SHOW), &spec(None, None)).await;
    assert!(ran.stdout.ends_with(" /usr\n"), "{ran:?}");
}

#[tokio::test]
async fn each_version_has_its_own_wheels_and_bytecode() {
    let fixture = ImageFixture::new();
    let show = script("import markupsafe._speedups as m; print(m.__file__)");
    for (version, expected) in
        [(PythonVersion::Python311, "311"), (PythonVersion::Python313, "313")]
    {
        let ran = fixture.run(&show, &spec(Some(version), Some("markupsafe==3.0.2"))).await;
        assert!(ran.stdout.contains(&format!("cpython-{expected}-")), "{ran:?}");
    }
}

#[tokio::test]
async fn a_package_without_a_wheel_for_this_version_says_which_have_one() {
    let fixture = ImageFixture::new();
    let old = spec(Some(PythonVersion::Python313), Some("numpy==1.24.0"));
    let error = fixture.prepare(&old, None).await.unwrap_err();
    let expected = "numpy==1.24.0 has no wheel for Python 3.13; it has wheels for 3.10, 3.11\n";
    assert!(error.to_string().starts_with(expected), "{error}");
    assert!(error.hint().unwrap().contains("`python` to \"3.11\""), "{:?}", error.hint());
}

#[tokio::test]
async fn a_version_that_can_not_be_had_says_where_it_was_looked_for() {
    let fixture = ImageFixture::new();
    match fixture.prepare(&spec(Some(PythonVersion::Python312), None), None).await {
        // Where uv's builds can be reached.
        Ok(prepared) => assert!(prepared.image.tags[0].starts_with("gantry/python:")),
        Err(error) => {
            assert!(matches!(error, ImageError::NoPython { .. }), "{error:?}");
            let said = error.to_string();
            for part in ["Python 3.12", "the base image has Python 3.13", "Debian", "uv: "] {
                assert!(said.contains(part), "{part} is not in: {said}");
            }
            assert!(error.hint().unwrap().contains("UV_PYTHON_INSTALL_MIRROR"));
        }
    }
}

#[tokio::test]
async fn a_package_from_source_has_a_compiler_for_its_build_alone() {
    let fixture = ImageFixture::new();
    let spec = from_source("python-prctl==1.8.1", &["libcap-dev"]);
    let look = script(
        "import prctl, shutil\nprctl.set_name('gantry')\n\
         print(prctl.get_name(), shutil.which('gcc'), shutil.which('cc'))",
    );
    let ran = fixture.run(&look, &spec).await;
    assert_eq!(ran.stdout, "gantry None None\n", "{ran:?}");
}

#[tokio::test]
async fn a_build_from_source_that_fails_says_so_in_its_own_words() {
    let fixture = ImageFixture::new();
    let error = fixture.prepare(&from_source("python-prctl==1.8.1", &[]), None).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("You need to install libcap development headers"), "{said}");
    assert!(error.hint().unwrap().contains("-dev"), "{:?}", error.hint());
}
